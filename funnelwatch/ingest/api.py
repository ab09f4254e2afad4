"""The ASGI application that answers the shops' clients, before Django's request stack sees anything.

One POST is: read the body, find the key, ask the limits, have the messages read, spool them, wait for the disk, answer.
"""

import base64
import binascii
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from time import monotonic
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import msgspec

from funnelwatch import config
from funnelwatch.core import clock as system_clock
from funnelwatch.ingest import client_settings, dialects
from funnelwatch.ingest.arrival import Arrival, arrival_from, scheme_of
from funnelwatch.ingest.body import BodyReader, Receive, unpack
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.limits import RateLimit
from funnelwatch.ingest.metrics import Metrics
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.reading import Task
from funnelwatch.ingest.sample import Sampler
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.spool import Spool
from funnelwatch.ingest.status import metrics_text
from funnelwatch.ingest.validate import parse_time
from funnelwatch.ingest.wire import NO_CONTEXT, Batch, decode_batch, read_message

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]

#: Path -> message type for one message; "batch", "ga4" and "ignored" are forms of their own.
ROUTES: dict[str, str] = {
    **{f"/v1/{name}": name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    **{f"/v1/{name[0]}": name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    "/v1/import": "batch",
    "/beacon/v1/batch": "batch",  # RudderStack's browser client with `useBeacon`
    "/v1/m": "ignored",
    "/mp/collect": "ga4",
}
_SEGMENT_SETTINGS = re.compile(r"/v1/projects/([^/]+)/settings")
_RUDDER_SETTINGS = "/v1/sourceConfig"
_BODY_SECONDS = 10.0  # a batch of 500 KB at 400 kbit/s; slower than that is an attack
_MOST_HEADER_BYTES = 32_768

_SUCCESS = b'{"success": true}'
_JSON = (b"content-type", b"application/json")
_HTTP_START, _HTTP_BODY = "http.response.start", "http.response.body"


def handles(path: str) -> bool:
    """Whether a path is ours and not Django's."""
    return path.startswith(("/v1/", "/beacon/v1/")) or path == "/mp/collect"


class IngestApp:
    """Replace `snapshot` to change keys and settings; the next request sees it."""

    def __init__(
        self,
        snapshot: Snapshot,
        spool: Spool,
        readers: Readers,
        clock: ModuleType = system_clock,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self.snapshot, self._spool, self._readers, self._clock = snapshot, spool, readers, clock
        self._proxies = tuple(trusted_proxies)
        self._limit = RateLimit(config.get_float("rate_per_second"), config.get_float("rate_burst"))
        self._most_body, self._most_event = config.get_int("max_batch_bytes"), config.get_int("max_event_bytes")
        self._future_ms = config.get_int("future_hours") * 3_600_000
        self._bodies = BodyReader(self._most_body, _BODY_SECONDS)
        self._sampler = Sampler()
        self.metrics = Metrics()

    def crowded(self) -> bool:
        """Whether requests wait because there are more than can be taken at once. From any thread."""
        return self._readers.crowded()

    def metrics_text(self) -> str:
        """Prometheus text of this process's requests and the node's spool."""
        return metrics_text(self._spool.directory, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"ingest answers http only, not {scope['type']}")
        headers: Headers = dict(scope["headers"])
        cors = _cors(headers.get(b"origin"))
        try:
            status, body, extra = await self._answer(scope, headers, receive)
        except Refusal as refusal:
            status, body = refusal.status, msgspec.json.encode({"code": refusal.code, "message": refusal.message})
            extra = [(b"retry-after", b"%d" % refusal.retry_after)] if refusal.retry_after else []
            self.metrics.refused(refusal.code)
        except ConnectionError:
            return
        self.metrics.answered(status)
        sent = [_JSON, (b"content-length", b"%d" % len(body)), *cors, *extra]
        await send({"type": _HTTP_START, "status": status, "headers": sent})
        await send({"type": _HTTP_BODY, "body": body})

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        path, method = scope["path"], scope["method"]
        form = ROUTES.get(path) or ROUTES.get(path.rstrip("/"))
        if form is None:
            settings = self._settings(path, scope, headers)
            if settings is not None:
                return settings
            raise Refusal(404, "not_found", "no such path; events go to /v1/batch")
        if method == "OPTIONS":
            return 204, b"", _preflight(headers)
        if method != "POST":
            raise Refusal(405, "method_not_allowed", "send events with POST")
        if sum(map(len, headers)) + sum(map(len, headers.values())) > _MOST_HEADER_BYTES:
            raise Refusal(431, "headers_too_large", f"the headers may have {_MOST_HEADER_BYTES} bytes")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most_body:
            raise Refusal(413, "too_large", f"a body may have {self._most_body} bytes")
        body = unpack(await self._bodies.read(receive), headers.get(b"content-encoding", b""), self._most_body)
        if form == "ignored":
            return 200, _SUCCESS, []
        if form == "batch":
            return 200, await self._batch(body, scope, headers), []
        if form == "ga4":
            return 200, await self._ga4(body, scope, headers), []
        return 200, await self._single(body, form, scope, headers), []

    async def _batch(self, body: bytes, scope: Scope, headers: Headers) -> bytes:
        batch = _read_batch(body)
        key = self._key(scope, headers, batch.writeKey)
        arrival = self._arrival(key, scope, headers, batch.sentAt, "", batch.context)
        accepted, rejected = await self._take([bytes(raw) for raw in batch.batch], arrival)
        if not rejected:
            return _SUCCESS
        return msgspec.json.encode({"success": True, "accepted": accepted, "rejected": rejected})

    async def _single(self, body: bytes, form: str, scope: Scope, headers: Headers) -> bytes:
        in_body = None
        if b"authorization" not in headers:
            in_body = _read_write_key(body)
        elif not body.lstrip().startswith(b"{"):
            raise Refusal(400, "invalid_json", "the body must be a JSON object")
        key = self._key(scope, headers, in_body)
        if len(body) > self._most_event:
            raise Refusal(413, "too_large", f"an event may have {self._most_event} bytes")
        accepted, rejected = await self._take([body], self._arrival(key, scope, headers, None, form))
        if "invalid_json" in rejected:
            raise Refusal(400, "invalid_json", "the body is not valid JSON")
        return _SUCCESS

    async def _ga4(self, body: bytes, scope: Scope, headers: Headers) -> bytes:
        key = self._key(scope, headers, None)
        now = self._clock.now_ms()
        try:
            messages = dialects.from_ga4(msgspec.json.decode(body, type=dict), now)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise Refusal(400, "invalid_body", f"not a Measurement Protocol body: {error}") from None
        await self._take([msgspec.json.encode(message) for message in messages], self._arrival(key, scope, headers, None, "track"))
        return _SUCCESS

    async def _take(self, raws: list[bytes], arrival: Arrival) -> tuple[int, dict[str, int]]:
        """Have the messages read and spool them; counts once they are durable."""
        project = arrival.key.project_id
        wait = self._limit.take(project, len(raws), monotonic())
        if wait:
            raise Refusal(429, "rate_limited", "this project sends faster than its rate allows", retry_after=int(wait) + 1)
        noted, rejected = self._sampler.grant(project, len(raws), arrival.now)
        taken = await self._readers.read(Task(raws, arrival, noted, rejected))
        if taken.shown:
            self._sampler.shown(project, taken.shown)
        if taken.entry.count or taken.rejected:
            await self._spool.append(taken.entry)
        self.metrics.took(project, taken.entry.count, taken.rejected)
        return taken.entry.count, taken.rejected

    def _key(self, scope: Scope, headers: Headers, in_body: str | None) -> KeyInfo:
        """The key a request is sent with, from Basic user, body or query. Raises Refusal 401, or 403 from an origin it is not for."""
        text = _basic_user(headers.get(b"authorization", b"")) or in_body or _query_key(scope["query_string"])
        key = self.snapshot.keys.get(text) if text else None
        if key is None:
            raise Refusal(401, "unknown_key", "unknown or revoked write key; send it as HTTP Basic user or `writeKey`")
        origin = headers.get(b"origin")
        if key.allowed_origins and origin is not None and not _origin_allowed(origin.decode("latin-1"), key.allowed_origins):
            raise Refusal(403, "origin_not_allowed", "this write key may not be used from this origin")
        return key

    def _arrival(
        self, key: KeyInfo, scope: Scope, headers: Headers, sent_at: Any, default_type: str, context: msgspec.Raw = NO_CONTEXT
    ) -> Arrival:
        now = self._clock.now_ms()
        if sent_at is None and b"sentat" in headers:
            sent_at = headers[b"sentat"].decode("latin-1")
        return arrival_from(
            key, now, headers, (scope.get("client") or ("",))[0], self._proxies,
            sent_at=parse_time(sent_at), default_type=default_type, future_ms=self._future_ms, max_event_bytes=self._most_event,
            default_context=bytes(context),
        )  # fmt: skip

    def _settings(self, path: str, scope: Scope, headers: Headers) -> tuple[int, bytes, list[tuple[bytes, bytes]]] | None:
        """What a browser client asks for before it sends; None when the path asks for something else."""
        asked = _SEGMENT_SETTINGS.fullmatch(path)
        if asked is None and path.rstrip("/") != _RUDDER_SETTINGS:
            return None
        if scope["method"] == "OPTIONS":
            return 204, b"", _preflight(headers)
        text = asked[1] if asked else _basic_user(headers.get(b"authorization", b"")) or _query_key(scope["query_string"])
        if text not in self.snapshot.keys:
            raise Refusal(401, "unknown_key", "unknown or revoked write key")
        body = client_settings.rudder(text)
        if asked:
            scheme = scheme_of(scope.get("scheme", "https"), headers, (scope.get("client") or ("",))[0], self._proxies)
            body = client_settings.segment(text, headers.get(b"host", b"localhost").decode("latin-1"), scheme)
        return 200, body, [(b"cache-control", b"public, max-age=60")]


def _read_batch(body: bytes) -> Batch:
    try:
        return decode_batch(body)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid_batch", f"the body must be an object with `batch`, a list of events: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not valid JSON: {error}") from None


def _read_write_key(body: bytes) -> str | None:
    try:
        return read_message(body)[0].writeKey
    except msgspec.ValidationError:
        raise Refusal(400, "invalid_json", "the body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not valid JSON: {error}") from None


@lru_cache(maxsize=1000)
def _basic_user(header: bytes) -> str:
    if header[:6].lower() != b"basic ":
        return ""
    try:
        return base64.b64decode(header[6:], validate=True).split(b":", 1)[0].decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _query_key(query: bytes) -> str:
    if not query:
        return ""
    given = parse_qs(query.decode("latin-1"), max_num_fields=50)
    return next((given[name][0] for name in ("writeKey", "api_secret") if name in given), "")


def _origin_allowed(origin: str, allowed: tuple[str, ...]) -> bool:
    for pattern in allowed:
        scheme, _, host = pattern.partition("://*.")
        if origin == pattern or (host and origin.startswith(f"{scheme}://") and origin.endswith(f".{host}")):
            return True
    return False


def _cors(origin: bytes | None) -> list[tuple[bytes, bytes]]:
    """Browsers read the answer, and obey Retry-After, only with these."""
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


def _preflight(headers: Headers) -> list[tuple[bytes, bytes]]:
    asked = headers.get(b"access-control-request-headers", b"authorization, content-type")
    answer = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"7200"),  # Chromium's own limit
    ]
    if headers.get(b"access-control-request-private-network") == b"true":
        answer.append((b"access-control-allow-private-network", b"true"))
    return answer
