"""What a channel is: a module with `EVENTS`, `REQUIRED` and `send`, named in CHANNELS. One file and one line add one."""

from importlib import import_module
from typing import Protocol

from funnelwatch.alert.message import Message
from funnelwatch.incidents.models import Delivery

CHANNELS = {
    "slack": "funnelwatch.alert.slack",
    "pagerduty": "funnelwatch.alert.pagerduty",
    "email": "funnelwatch.alert.email",
    "webhook": "funnelwatch.alert.webhook",
}


class DeliveryError(Exception):
    """A message was not delivered.

    `permanent`: trying again cannot help, the channel is switched off with this text. `retry_after`: seconds the other side
    asked us to wait.
    """

    def __init__(self, text: str, *, permanent: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after = retry_after


class Sender(Protocol):
    """A channel's module."""

    #: The incident events it has something to say about; others count as delivered.
    EVENTS: frozenset[str]
    #: The keys its `Channel.config` must have.
    REQUIRED: tuple[str, ...]

    def send(self, delivery: Delivery, message: Message) -> str:
        """Send and return what the other side calls it. Raises DeliveryError."""


def load(kind: str) -> Sender:
    """The channel's module. Raises KeyError for an unknown kind."""
    return import_module(CHANNELS[kind])  # type: ignore[return-value]


def check_config(kind: str, config: dict[str, object]) -> None:
    """Raises ValueError with what to do when a channel of this kind cannot work with this config."""
    if kind not in CHANNELS:
        raise ValueError(f"unknown channel kind {kind!r}; choose one of {', '.join(CHANNELS)}")
    missing = [key for key in load(kind).REQUIRED if not config.get(key)]
    if missing:
        raise ValueError(f"a {kind} channel needs {', '.join(missing)}")


def retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header; 0 when absent or not a number of seconds."""
    return float(header) if header and header.isascii() and header.isdigit() else 0.0
