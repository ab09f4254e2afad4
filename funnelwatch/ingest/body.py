"""Reading a request's body: capped, timed, unpacked by its bytes whatever the headers say."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from funnelwatch.ingest.errors import Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's code for "gzip header, 32 KB window"


async def read_body(receive: Receive, most: int, seconds: float) -> bytes:
    """The whole body. Raises Refusal 413 over `most` bytes, 408 when it takes longer than `seconds`, ConnectionError when cut."""
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            body = message.get("body", b"")
            if not message.get("more_body", False) and message["type"] == "http.request":
                _check(len(body), most)
                return body
            parts, size = [], 0
            while True:
                if message["type"] == "http.disconnect":
                    raise ConnectionError("client closed the connection before its body was complete")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                _check(size, most)
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        raise Refusal(408, "body_timeout", f"the body did not arrive within {seconds:g} seconds") from None


def unpack(body: bytes, encoding: bytes, most: int) -> bytes:
    """The body as JSON text: gunzipped when it is gzip. Raises Refusal 413 when that makes more than `most` bytes, 400 if damaged."""
    if body[:2] != _GZIP_MAGIC:
        if encoding in (b"", b"identity", b"gzip"):
            return body
        raise Refusal(400, "unknown_encoding", "Content-Encoding must be gzip or identity")
    inflater = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        unpacked = inflater.decompress(body, most + 1)
    except zlib.error:
        raise Refusal(400, "invalid_gzip", "the body is damaged gzip") from None
    _check(len(unpacked), most)
    if not inflater.eof:
        raise Refusal(400, "invalid_gzip", "the gzip body is cut short")
    return unpacked


def _check(size: int, most: int) -> None:
    if size > most:
        raise Refusal(413, "too_large", f"a body may have {most} bytes after decompression")
