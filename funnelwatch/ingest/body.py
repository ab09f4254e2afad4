"""Reading a request's body: capped, timed, unpacked by its bytes whatever the headers say; and the first look into it."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

import msgspec

from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.wire import Batch, decode_batch, read_message

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_SWEEP_SECONDS = 0.5
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's code for "gzip header, 32 KB window"


class BodyReader:
    """Reads bodies of at most `most` bytes that arrive within about `seconds`.

    One sweep a second over all reads under way: a timer for each would cost as much as reading a small body.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self._begun: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._sweeping = False

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises Refusal 413 when too long, 408 when too slow, ConnectionError when cut."""
        task = asyncio.current_task()
        self._begun[task] = monotonic()
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        try:
            return await self._collect(receive)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise Refusal(408, "body_timeout", f"the body did not arrive within {self.seconds:g} seconds") from None
        finally:
            del self._begun[task]
            self._overdue.discard(task)

    async def _collect(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("client closed the connection before its body was complete")
            part = message.get("body", b"")
            size += len(part)
            _check(size, self.most)
            if not message.get("more_body", False):
                return b"".join([*parts, part]) if parts else part
            parts.append(part)

    def _sweep(self) -> None:
        limit = monotonic() - self.seconds
        for task, begun in self._begun.items():
            if begun < limit and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._sweeping = bool(self._begun)
        if self._sweeping:
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)


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


def read_batch(body: bytes) -> Batch:
    """The batch a body holds. Raises Refusal 400."""
    try:
        return decode_batch(body)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid_batch", f"the body must be an object with `batch`, a list of events: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not valid JSON: {error}") from None


def read_write_key(body: bytes) -> str | None:
    """The write key in the body of one message. Raises Refusal 400."""
    try:
        return read_message(body)[0].writeKey
    except msgspec.ValidationError:
        raise Refusal(400, "invalid_json", "the body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not valid JSON: {error}") from None


def _check(size: int, most: int) -> None:
    if size > most:
        raise Refusal(413, "too_large", f"a body may have {most} bytes after decompression")
