"""The ASGI application that answers the shops' clients, before Django's request stack sees anything.

One POST is: find the key, ask the limits, have the messages read and spooled, answer when that is durable. `take` does that for a
request that is there in full; as an ASGI application `IngestApp` reads bodies that still come, and answers what is no POST.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from time import monotonic
from types import ModuleType
from typing import Any

import msgspec

from funnelwatch import config
from funnelwatch.core import clock as system_clock
from funnelwatch.ingest import client_settings, dialects, refusals
from funnelwatch.ingest.arrival import Arrival, arrival_from, scheme_of
from funnelwatch.ingest.body import BodyReader, Receive, read_batch, read_write_key, unpack
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.limits import RateLimit
from funnelwatch.ingest.metrics import Metrics
from funnelwatch.ingest.readers import TRY_AGAIN, Readers
from funnelwatch.ingest.reading import Counts, Task
from funnelwatch.ingest.request import (
    Answer,
    Headers,
    Pairs,
    Request,
    basic_user,
    cors,
    origin_allowed,
    preflight,
    query_key,
)
from funnelwatch.ingest.sample import Sampler
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.status import metrics_text
from funnelwatch.ingest.validate import parse_time
from funnelwatch.ingest.wire import NO_CONTEXT

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Reply = Callable[[Answer], None]

#: Path -> message type for one message; "batch", "ga4" and "ignored" are forms of their own.
ROUTES: dict[str, str] = {
    **{f"/v1/{name}": name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    **{f"/v1/{name[0]}": name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    "/v1/import": "batch",
    "/beacon/v1/batch": "batch",  # RudderStack's browser client with `useBeacon`
    "/v1/m": "ignored",
    "/mp/collect": "ga4",
}
_EVENT_PATHS = frozenset(path.encode() for path in ROUTES)
_SEGMENT_SETTINGS = re.compile(r"/v1/projects/([^/]+)/settings")
_RUDDER_SETTINGS = "/v1/sourceConfig"
_BODY_SECONDS = 10.0  # a batch of 500 KB at 400 kbit/s; slower than that is an attack
_MOST_HEADER_BYTES = 32_768
_MOST_ORIGIN = 100  # of a foreign one, in what is said about it

_SUCCESS = b'{"success": true}'
_JSON = (b"content-type", b"application/json")
_NO_HEADERS: Pairs = []
_HTTP_START, _HTTP_BODY = "http.response.start", "http.response.body"


def handles(path: str) -> bool:
    """Whether a path is ours and not Django's."""
    return path.startswith(("/v1/", "/beacon/v1/")) or path == "/mp/collect"


class IngestApp:
    """Replace `snapshot` to change keys and settings; the next request sees it."""

    def __init__(
        self,
        snapshot: Snapshot,
        readers: Readers,
        clock: ModuleType = system_clock,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self.snapshot, self._readers, self._clock = snapshot, readers, clock
        self._proxies = tuple(trusted_proxies)
        self._limit = RateLimit(config.get_float("rate_per_second"), config.get_float("rate_burst"))
        self._most_body, self._most_event = config.get_int("max_batch_bytes"), config.get_int("max_event_bytes")
        self._future_ms = config.get_int("future_hours") * 3_600_000
        self._bodies = BodyReader(self._most_body, _BODY_SECONDS)
        self._sampler = Sampler()
        self.metrics = Metrics()

    def crowded(self) -> bool:
        """Whether more requests come than are taken in a calm second. From any thread."""
        return self._readers.crowded()

    def metrics_text(self) -> str:
        """Prometheus text of this process's requests and the node's spool."""
        return metrics_text(self._readers.spool.directory, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"ingest answers http only, not {scope['type']}")
        client = (scope.get("client") or ("",))[0]
        request = Request(scope["method"], scope["path"], scope["query_string"], dict(scope["headers"]), client, scope.get("scheme", "https"))
        try:
            answer = self._without_body(request)
            if answer is None:
                body = await self._bodies.read(receive)
                answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
                self.take(request, body, partial(_settle, answered))
                answer = await answered
            else:
                answer = self._answered(request, *answer)
        except Refusal as refusal:
            answer = self._refused(request, refusal)
        except ConnectionError:
            return
        except Exception:
            answer = self._failed(request)
        await send({"type": _HTTP_START, "status": answer.status, "headers": [*answer.headers, (b"content-length", b"%d" % len(answer.body))]})
        await send({"type": _HTTP_BODY, "body": answer.body})

    def takes(self, method: bytes, path: bytes, length: bytes) -> bool:
        """Whether `take` is for a request with this Content-Length: a POST of events with a body of a size that may be."""
        return method == b"POST" and path in _EVENT_PATHS and length.isdigit() and int(length) <= self._most_body

    def take(self, request: Request, body: bytes, reply: Reply) -> None:
        """Take the events of a POST that is there in full. `reply` is called once, now or later, from the event loop. Never raises."""
        try:
            _check_head(request.headers)
            body = unpack(body, request.headers.get(b"content-encoding", b""), self._most_body)
            form = _form(request.path)
            if form == "batch":
                self._batch(body, request, reply)
            elif form == "ga4":
                self._ga4(body, request, reply)
            elif form == "ignored":
                reply(self._answered(request, 200, _SUCCESS))
            else:
                self._single(body, str(form), request, reply)
        except Refusal as refusal:
            reply(self._refused(request, refusal))
        except Exception:
            reply(self._failed(request))

    def _without_body(self, request: Request) -> tuple[int, bytes, Pairs] | None:
        """The answer to what brings no events; None for a POST that does. Raises Refusal."""
        if _form(request.path) is None:
            settings = self._settings(request)
            if settings is not None:
                return settings
            raise Refusal(404, "not_found", "no such path; events go to /v1/batch")
        if request.method == "OPTIONS":
            return 204, b"", preflight(request.headers)
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "send events with POST")
        _check_head(request.headers)
        length = request.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most_body:
            raise Refusal(413, "too_large", f"a body may have {self._most_body} bytes")
        return None

    def _answered(self, request: Request, status: int, body: bytes, extra: Pairs = _NO_HEADERS) -> Answer:
        self.metrics.answered(status)
        return Answer(status, body, [_JSON, *cors(request.headers.get(b"origin")), *extra])

    def _refused(self, request: Request, refusal: Refusal) -> Answer:
        """The answer to a request of which nothing was read, which the live view of its project shows, too."""
        project = refusal.project_id or self._project_by_head(request)
        if project:
            refusals.show(self._readers.spool, self._sampler, project, self._clock.now_ms(), request.path, refusal)
        return self._refusal(request, refusal)

    def _refusal(self, request: Request, refusal: Refusal) -> Answer:
        self.metrics.refused(refusal.code)
        extra = [(b"retry-after", b"%d" % refusal.retry_after)] if refusal.retry_after else _NO_HEADERS
        return self._answered(request, refusal.status, msgspec.json.encode({"code": refusal.code, "message": refusal.message}), extra)

    def _failed(self, request: Request) -> Answer:
        """The answer to a request that met a fault of ours."""
        log.exception("a request to %s was not taken", request.path)
        return self._refusal(request, TRY_AGAIN)

    def _batch(self, body: bytes, request: Request, reply: Reply) -> None:
        batch = read_batch(body)
        key = self._key(request, batch.writeKey)
        arrival = self._arrival(key, request, batch.sentAt, "", batch.context)
        self._submit(list(map(bytes, batch.batch)), arrival, _batch_body, request, reply)

    def _single(self, body: bytes, form: str, request: Request, reply: Reply) -> None:
        in_body = None
        if not basic_user(request.headers.get(b"authorization", b"")):
            in_body = read_write_key(body)
        elif not body.lstrip().startswith(b"{"):
            raise Refusal(400, "invalid_json", "the body must be a JSON object")
        key = self._key(request, in_body)
        if len(body) > self._most_event:
            raise Refusal(413, "too_large", f"an event may have {self._most_event} bytes", project_id=key.project_id)
        self._submit([body], self._arrival(key, request, None, form), _single_body, request, reply)

    def _ga4(self, body: bytes, request: Request, reply: Reply) -> None:
        key = self._key(request, None)
        now = self._clock.now_ms()
        try:
            messages = dialects.from_ga4(msgspec.json.decode(body, type=dict), now)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise Refusal(400, "invalid_body", f"not a Measurement Protocol body: {error}") from None
        self._submit(list(map(msgspec.json.encode, messages)), self._arrival(key, request, None, "track"), _ga4_body, request, reply)

    def _submit(self, raws: list[bytes], arrival: Arrival, body: Callable[[Counts], bytes], request: Request, reply: Reply) -> None:
        """Have the messages read and spooled; `reply` with `body` once they are durable. Raises Refusal."""
        project = arrival.key.project_id
        wait = self._limit.take(project, len(raws), monotonic())
        if wait:
            raise Refusal(429, "rate_limited", "this project sends faster than its rate allows", retry_after=int(wait) + 1, project_id=project)
        noted, rejected = self._sampler.grant(project, len(raws), arrival.now)
        self._readers.submit(Task(raws, arrival, noted, rejected), partial(self._taken, project, body, request, reply))

    def _taken(self, project: int, body: Callable[[Counts], bytes], request: Request, reply: Reply, outcome: Counts | Refusal) -> None:
        try:
            if isinstance(outcome, Refusal):
                raise outcome
            if outcome.shown:
                self._sampler.shown(project, outcome.shown)
            self.metrics.took(project, outcome.accepted, outcome.rejected)
            answer = self._answered(request, 200, body(outcome))
        except Refusal as refusal:
            answer = self._refusal(request, refusal)
        except Exception:
            answer = self._failed(request)
        reply(answer)

    def _key(self, request: Request, in_body: str | None) -> KeyInfo:
        """The key a request is sent with, from Basic user, body or query. Raises Refusal 401, or 403 from an origin it is not for."""
        headers = request.headers
        text = basic_user(headers.get(b"authorization", b"")) or in_body or query_key(request.query)
        key = self.snapshot.keys.get(text) if text else None
        if key is None:
            raise Refusal(401, "unknown_key", "unknown or revoked write key; send it as HTTP Basic user or `writeKey`")
        origin = headers.get(b"origin")
        if key.allowed_origins and origin is not None and not origin_allowed(origin.decode("latin-1"), key.allowed_origins):
            told = origin[:_MOST_ORIGIN].decode("latin-1")
            raise Refusal(403, "origin_not_allowed", f"this write key may not be used from {told}", project_id=key.project_id)
        return key

    def _project_by_head(self, request: Request) -> int:
        """The project of the key in head or query, 0 without one: all there is of a body that cannot be read."""
        key = self.snapshot.keys.get(basic_user(request.headers.get(b"authorization", b"")) or query_key(request.query))
        return key.project_id if key else 0

    def _arrival(
        self, key: KeyInfo, request: Request, sent_at: Any, default_type: str, context: msgspec.Raw = NO_CONTEXT
    ) -> Arrival:
        headers, now = request.headers, self._clock.now_ms()
        if sent_at is None and b"sentat" in headers:
            sent_at = headers[b"sentat"].decode("latin-1")
        return arrival_from(
            key, now, headers, request.client, self._proxies,
            sent_at=parse_time(sent_at), default_type=default_type, future_ms=self._future_ms, max_event_bytes=self._most_event,
            default_context=bytes(context),
        )  # fmt: skip

    def _settings(self, request: Request) -> tuple[int, bytes, Pairs] | None:
        """What a browser client asks for before it sends; None when the path asks for something else."""
        asked = _SEGMENT_SETTINGS.fullmatch(request.path)
        if asked is None and request.path.rstrip("/") != _RUDDER_SETTINGS:
            return None
        headers = request.headers
        if request.method == "OPTIONS":
            return 204, b"", preflight(headers)
        text = asked[1] if asked else basic_user(headers.get(b"authorization", b"")) or query_key(request.query)
        if text not in self.snapshot.keys:
            raise Refusal(401, "unknown_key", "unknown or revoked write key")
        body = client_settings.rudder(text)
        if asked:
            scheme = scheme_of(request.scheme, headers, request.client, self._proxies)
            body = client_settings.segment(text, headers.get(b"host", b"localhost").decode("latin-1"), scheme)
        return 200, body, [(b"cache-control", b"public, max-age=60")]


def _form(path: str) -> str | None:
    return ROUTES.get(path) or ROUTES.get(path.rstrip("/"))


def _check_head(headers: Headers) -> None:
    if sum(map(len, headers)) + sum(map(len, headers.values())) > _MOST_HEADER_BYTES:
        raise Refusal(431, "headers_too_large", f"the headers may have {_MOST_HEADER_BYTES} bytes")


def _batch_body(counts: Counts) -> bytes:
    if not counts.rejected:
        return _SUCCESS
    return msgspec.json.encode({"success": True, "accepted": counts.accepted, "rejected": counts.rejected})


def _single_body(counts: Counts) -> bytes:
    if "invalid_json" in counts.rejected:
        raise Refusal(400, "invalid_json", "the body is not valid JSON")
    return _SUCCESS


def _ga4_body(counts: Counts) -> bytes:
    return _SUCCESS


def _settle(answered: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not answered.done():  # the client may have gone
        answered.set_result(answer)
