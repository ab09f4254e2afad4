"""One HTTP connection, bounded: uvicorn itself waits for ever for a head or a body, and keeps however much a client sends.

`up` serves with it; with uvicorn's command line it is `--http funnelwatch.web.connection:Connection`.

Events that came in whole go to ingest from here, without scope, task and messages of ASGI, which are two thirds of what a request of
one event costs. Everything else is uvicorn's.
"""

import asyncio
import json
from functools import partial
from math import inf
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from funnelwatch.ingest.api import IngestApp
from funnelwatch.ingest.request import Answer, Request


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


class Events:
    """A request for ingest, in the place of uvicorn's `RequestResponseCycle`, whose attributes uvicorn looks at."""

    __slots__ = ("body", "complete", "disconnected", "keep_alive", "response_complete")

    def __init__(self) -> None:
        self.body = b""
        self.complete = self.disconnected = self.response_complete = False
        self.keep_alive = True

    @property
    def message_event(self) -> "Events":
        """What uvicorn wakes a waiting application with; nobody waits here."""
        return self

    def set(self) -> None:
        """See `message_event`."""


class Connection(HttpToolsProtocol):
    """uvicorn's own, closed when a part of a request takes too long or is too large.

    While the application works on a complete request there is no limit, nor while it is the one that does not read. An application
    with an attribute `ingest` has its events taken by that.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._ingest: IngestApp | None = getattr(self.app, "ingest", None)
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
        if self.cycle.__class__ is Events and not self.cycle.complete:
            self._leave_to_application()
        if self._received > self._part.size and self._part is not NONE:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._await(HEAD)

    def on_headers_complete(self) -> None:
        """The head is complete: events wait for their body, for all else the application begins."""
        self._await(BODY)
        if self._is_for_ingest():
            self.cycle = Events()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self.cycle.__class__ is Events:
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete: it is the application's turn, if it has not answered already."""
        events = self.cycle
        if events.__class__ is Events:
            self._await(NONE)
            events.complete = True
            path, _, query = self.url.partition(b"?")
            client = self.client[0] if self.client else ""
            request = Request("POST", path.decode("ascii"), query, dict(self.headers), client, self.scheme or "http")
            self._ingest.take(request, events.body, partial(self._answer, events))
            return
        super().on_message_complete()
        self._await(IDLE if self.cycle.response_complete else NONE)

    def _is_for_ingest(self) -> bool:
        """Whether this is a plain POST of events, with nothing before it that has yet to be answered."""
        return (
            self._ingest is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not (self.expect_100_continue or self.flow.write_paused)
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and self._ingest.takes(self.parser.get_method(), self.url.partition(b"?")[0], self._header(b"content-length"))
        )

    def _header(self, name: bytes) -> bytes:
        return next((value for given, value in self.headers if given == name), b"")

    def _leave_to_application(self) -> None:
        """The body does not come at once: waiting for it, with all that may go wrong, is the application's."""
        body, self.cycle = self.cycle.body, None
        super().on_headers_complete()
        super().on_body(body)

    def _answer(self, events: Events, answer: Answer) -> None:
        events.response_complete = True
        if events.disconnected or self.transport.is_closing():
            return
        pairs = [*self.server_state.default_headers, *answer.headers, (b"content-length", b"%d" % len(answer.body))]
        if not events.keep_alive:
            pairs.append((b"connection", b"close"))
        head = b"".join([b"%b: %b\r\n" % pair for pair in pairs])
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[answer.status], head, answer.body))
        if not events.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._await(IDLE)

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
            self.transport.write(_refusal(status))
        self.transport.close()


def _refusal(status: int) -> bytes:
    code, message = {
        408: ("headers_timeout", f"the headers did not arrive within {HEAD.seconds:g} seconds"),
        431: ("headers_too_large", f"the headers may have {HEAD.size} bytes"),
    }[status]
    body = json.dumps({"code": code, "message": message}).encode()
    head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return STATUS_LINE[status] + head + body
