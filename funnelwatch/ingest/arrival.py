"""How messages came in: what a step may know besides the message itself."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from funnelwatch.ingest.snapshot import KeyInfo, address_in

#: Headers in which CDNs write the visitor's country and region. Believed only when a trusted proxy sent the request.
_COUNTRY_HEADERS = (b"cf-ipcountry", b"cloudfront-viewer-country", b"x-vercel-ip-country", b"x-appengine-country", b"x-country-code")
_REGION_HEADERS = (b"cf-region-code", b"cloudfront-viewer-country-region", b"x-vercel-ip-country-region", b"x-appengine-region")


class Arrival(Struct, frozen=True, kw_only=True, array_like=True):
    """Everything about one request (or one imported file) that its messages share. Times in epoch milliseconds."""

    key: KeyInfo
    now: int
    received_at: int | None  # None: each message carries its own receivedAt (imported files)
    max_event_bytes: int = 32_768
    future_ms: int = 86_400_000  # an event dated further after its receipt than this is given its time of receipt
    sent_at: int | None = None  # of the batch; a message's own wins
    default_type: str = "track"  # of a message that names none: the path it was posted to
    user_agent: str = ""
    address: str = ""  # of the peer, or of its client when the peer is a trusted proxy; never stored
    country: str = ""  # from a trusted CDN's headers
    region: str = ""
    default_context: bytes = b"{}"  # of messages that have none, as JSON
    situations: dict[Any, Any] = field(default_factory=dict)  # what a context came to, for the messages that share it
    opted_out: str = ""  # "Do-Not-Track" or "Global Privacy Control" when sent and honoured


def arrival_from(
    key: KeyInfo, now: int, headers: Mapping[bytes, bytes], peer: str, trusted_proxies: tuple[str, ...] = (), **fields: Any
) -> Arrival:
    """The Arrival of an HTTP request received now: `headers` by lower-case name, `peer` the address of the connection."""
    address, country, region = peer, "", ""
    if trusted_proxies and address_in(peer, trusted_proxies):
        address = _client_behind(headers.get(b"x-forwarded-for", b""), peer, trusted_proxies)
        country = _country(_first(headers, _COUNTRY_HEADERS))
        region = _first(headers, _REGION_HEADERS)
    opted_out = ""
    if key.honour_gpc and headers.get(b"sec-gpc") == b"1":
        opted_out = "Global Privacy Control"
    elif key.honour_dnt and headers.get(b"dnt") == b"1":
        opted_out = "Do-Not-Track"
    return Arrival(
        key=key, now=now, received_at=now, user_agent=headers.get(b"user-agent", b"").decode("latin-1"), address=address,
        country=country, region=region, opted_out=opted_out, **fields,
    )  # fmt: skip


def scheme_of(own: str, headers: Mapping[bytes, bytes], peer: str, trusted_proxies: tuple[str, ...]) -> str:
    """"http" or "https" as the client sees it: where a trusted proxy ends TLS, `own`, that of the connection, is the proxy's business."""
    if trusted_proxies and address_in(peer, trusted_proxies):
        forwarded = headers.get(b"x-forwarded-proto", b"").decode("latin-1").lower()
        return forwarded if forwarded in {"http", "https"} else own
    return own


def _client_behind(forwarded: bytes, peer: str, trusted_proxies: tuple[str, ...]) -> str:
    """The nearest address that is no trusted proxy: what stands further left a client can write itself."""
    for part in reversed(forwarded.decode("latin-1").split(",")):
        address = part.strip()
        if address and not address_in(address, trusted_proxies):
            return address
    return peer


def _first(headers: Mapping[bytes, bytes], names: tuple[bytes, ...]) -> str:
    return next((headers[name].decode("latin-1")[:20] for name in names if headers.get(name)), "")


def _country(text: str) -> str:
    # Cloudflare writes XX for unknown and T1 for Tor.
    return text.upper() if len(text) == 2 and text.isalpha() and text.upper() != "XX" else ""
