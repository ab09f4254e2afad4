"""Tell FunnelWatch from a shop's server: orders, refunds, stock, payment results."""

from ._version import VERSION
from .client import Client
from .errors import Dropped, NotDelivered, Rejected, SdkError

__all__ = ["VERSION", "Client", "Dropped", "NotDelivered", "Rejected", "SdkError"]
__version__ = VERSION
