"""One HTTP connection, bounded: uvicorn itself waits for ever for a head or a body, and keeps however much a client sends.

`up` serves with it; with uvicorn's command line it is `--http funnelwatch.web.connection:Connection`.
"""

import asyncio
import json
from math import inf
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol


class Limit(NamedTuple):
    """How long and how large a part of a request may be."""

    seconds: float
    size: int


#: Between two requests: uvicorn's keep-alive ends after 5 s of silence, this ends a line break every 4 s.
IDLE = Limit(10.0, 65_536)
#: Twice the bytes ingest takes, so that its own answer, which a browser may read, comes first.
HEAD = Limit(10.0, 65_536)
#: Ingest answers 408 itself after 10 s. This is for every other reader of bodies, and for bodies nobody reads. The size is that of
#: eight of ingest's largest batches; no page takes as much.
BODY = Limit(15.0, 4_194_304)
#: No part is awaited: the application is at work.
NONE = Limit(inf, 0)
#: How late a connection may be closed. A timer a connection and not a request: setting one costs as much as a small answer.
CHECK_SECONDS = 2.0


class Connection(HttpToolsProtocol):
    """uvicorn's own, closed when a part of a request takes too long or is too large.

    While the application works on a complete request there is no limit, nor while it is the one that does not read.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.ws_protocol_class = None  # nobody here speaks WebSocket, whose connections this would not see any more
        self._await(IDLE)
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what belongs to a part that is not complete yet."""
        self._received += len(data)  # the parser's events below begin at 0 again
        super().data_received(data)
        if self._received > self._part.size and self._part is not NONE:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._await(HEAD)

    def on_headers_complete(self) -> None:
        """The head is complete, the application begins."""
        self._await(BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete: it is the application's turn, if it has not answered already."""
        super().on_message_complete()
        self._await(IDLE if self.cycle.response_complete else NONE)

    def on_response_complete(self) -> None:
        """An answer is out, and with it the request unless its body still comes or the next one is here."""
        super().on_response_complete()
        if self._part is NONE and self.cycle.response_complete:
            self._await(IDLE)

    def _await(self, part: Limit) -> None:
        self._part, self._deadline, self._received = part, self.loop.time() + part.seconds, 0

    def _check(self) -> None:
        now = self.loop.time()
        if now >= self._deadline:
            if not self.flow.read_paused:
                self._refuse(408)
                return
            self._deadline = now + self._part.seconds
        self._timer = self.loop.call_later(min(CHECK_SECONDS, self._deadline - now), self._check)

    def _refuse(self, status: int) -> None:
        """Close; with an answer only to a head with nothing before it, because elsewhere another answer may be under way."""
        if self._part is HEAD and (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.write(_answer(status))
        self.transport.close()


def _answer(status: int) -> bytes:
    code, message = {
        408: ("headers_timeout", f"the headers did not arrive within {HEAD.seconds:g} seconds"),
        431: ("headers_too_large", f"the headers may have {HEAD.size} bytes"),
    }[status]
    body = json.dumps({"code": code, "message": message}).encode()
    head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return STATUS_LINE[status] + head + body
