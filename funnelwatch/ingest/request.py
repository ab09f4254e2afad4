"""One request and its answer, whoever reads and writes them; and what its headers say."""

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

Headers = Mapping[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]


class Request(NamedTuple):
    """A request's head. Header names in lower case; `client` the address of the connection, `scheme` how it came."""

    method: str
    path: str
    query: bytes
    headers: Headers
    client: str
    scheme: str


class Answer(NamedTuple):
    """What goes back. The length of the body is for whoever writes it to say."""

    status: int
    body: bytes
    headers: Pairs


@lru_cache(maxsize=1000)
def basic_user(header: bytes) -> str:
    """The user name of an Authorization header; empty without one."""
    if header[:6].lower() != b"basic ":
        return ""
    try:
        return base64.b64decode(header[6:], validate=True).split(b":", 1)[0].decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def query_key(query: bytes) -> str:
    """The write key of a query, by the names Segment and GA4 give it; empty without one, or when the query has more than 50 fields."""
    if not query:
        return ""
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=50)
    except ValueError:
        return ""
    return next((given[name][0] for name in ("writeKey", "api_secret") if name in given), "")


def origin_allowed(origin: str, allowed: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may send: its origin is named, or a domain above it as `https://*.shop.example`."""
    for pattern in allowed:
        scheme, _, host = pattern.partition("://*.")
        if origin == pattern or (host and origin.startswith(f"{scheme}://") and origin.endswith(f".{host}")):
            return True
    return False


def cors(origin: bytes | None) -> Pairs:
    """Browsers read the answer, and obey Retry-After, only with these."""
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


def preflight(headers: Headers) -> Pairs:
    """What a browser may send next."""
    asked = headers.get(b"access-control-request-headers", b"authorization, content-type")
    answer = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"7200"),  # Chromium's own limit
    ]
    if headers.get(b"access-control-request-private-network") == b"true":
        answer.append((b"access-control-allow-private-network", b"true"))
    return answer
