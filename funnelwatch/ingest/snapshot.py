"""What the hot path knows of keys and settings: an immutable picture that the pipeline replaces every two seconds.

Revoking or rotating a key, or changing a privacy setting, therefore takes effect within that time and costs the hot path nothing.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

_LONGEST_ADDRESS = 45  # an IPv6 address with an IPv4 tail

Networks = tuple[IPv4Network | IPv6Network, ...]


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One write key and the choices of its project."""

    project_id: int
    salt: str  # keys the hash that makes ids pseudonymous
    allowed_origins: tuple[str, ...] = ()  # empty: any; "https://*.shop.example" covers subdomains
    honour_dnt: bool = False
    honour_gpc: bool = True
    require_consent: bool = False  # drop events whose context.consent denies analytics
    property_deny_list: frozenset[str] = frozenset()  # lower-case property names that are never stored
    excluded_addresses: tuple[str, ...] = ()  # addresses or networks whose events are stored, not counted
    retention_days: int = 400


class Snapshot(msgspec.Struct, frozen=True):
    """Write key -> KeyInfo for every key that is not revoked."""

    keys: Mapping[str, KeyInfo]


EMPTY = Snapshot(keys={})


@lru_cache(maxsize=1024)
def networks(texts: tuple[str, ...]) -> Networks:
    """Parsed networks. Raises ValueError for a text that is no address or network."""
    return tuple(ip_network(text, strict=False) for text in texts)


def address_in(address: str, texts: tuple[str, ...]) -> bool:
    """Whether `address` lies in one of the networks; False for text that is no address."""
    return len(address) <= _LONGEST_ADDRESS and _address_in(address, texts)


@lru_cache(maxsize=32_768)
def _address_in(address: str, texts: tuple[str, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks(texts))
