"""Input made to break the parser: a bounded fuzz over the whole path from body to spool line, and memory that stays flat."""

import asyncio
import gzip
import json
import random
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from funnelwatch.core.vocabulary import DROP_REASONS
from funnelwatch.ingest.api import IngestApp
from funnelwatch.ingest.draft import FIELDS, decode_lines
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.spool import Entry

CASES = 100_000
PROJECT = FIELDS.index("project_id")

SEED = {
    "type": "track", "event": "Order Completed", "messageId": "m", "anonymousId": "v", "userId": 5, "timestamp": "2026-06-01T10:00:00Z",
    "properties": {"value": 12.5, "currency": "EUR", "order_id": "O", "products": [{"sku": "S", "price": 3, "quantity": 2}], "email": "a@b.de"},
    "context": {"page": {"url": "https://s.example/p?utm_source=x", "referrer": "https://g.example"}, "userAgent": "Mozilla/5.0", "ip": "1.2.3.4",
                "campaign": {"source": "x"}, "consent": {"categoryPreferences": {"Analytics": True}}, "experiments": {"a": "b"}, "sessionId": 5,
                "app": {"version": "1"}, "os": {"name": "iOS", "version": "17"}, "device": {"type": "ios"}, "location": {"country": "DE"}},
}  # fmt: skip
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 2**63, -(2**63), 2**64, 10**400, 1e308, -1e308, 5e-324, "", " ", "\0", "x" * 5_000, "\ud7ff", "🛒" * 50, "'; DROP TABLE events --",
    "<script>alert(1)</script>", "NaN", "Infinity", "../../etc/passwd", "%00", "\r\nSet-Cookie: a=b", [], {}, [[]], [{}], {"": ""}, {"a": {"b": {"c": []}}},
    "9999-99-99T99:99:99Z", "0000-01-01T00:00:00Z", "2026-06-01", "1e999", "[2001:db8::1", "http://[", "+49 151 1234567 4111 1111 1111 1111 a@b.de",
    "wk_other", "1.2.3.4, 5.6.7.8", "١٢٣", "4" * 19,
]  # fmt: skip


#: What stands around a body. The first authorization carries the key of project 1.
AUTHORIZATIONS = [b"Basic d2tfdGVzdDo=", b"Basic !!!", b"Basic /w==", b"Bearer x", b"", b"basic d2tfdGVzdDo=", b"Basic " + b"A" * 5_000]
ORIGINS = [b"null", b"https://s.example", b"\xff\xfe", b"", b"://*.", b"https://" + b"x" * 5_000]
SENT_ATS = [b"2026-06-01T10:00:01Z", b"9999-99-99", b"0001-01-01T00:00:00+23:59", b"1e400", b"\xff", b"", b"NaN", b"9" * 400]
QUERIES = [
    b"", b"writeKey=", b"api_secret=none", b"&".join(b"a%d=1" % number for number in range(60)), b"&" * 5_000, b"writeKey=%ff%00", b"\xff=\xff", b"=;=&;",
    b"writeKey=" + b"x" * 5_000, b"%" * 100,
]  # fmt: skip


class MemorySpool:
    """Keeps only the newest entry: what is looked at is the line that would have been written."""

    def __init__(self) -> None:
        self.entry = Entry(b"", 0)

    def enqueue(self, entry: Entry) -> "asyncio.Future[None]":
        self.entry = entry
        written = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written


def application() -> tuple[IngestApp, MemorySpool]:
    spool = MemorySpool()
    keys = {"wk_test": KeyInfo(project_id=1, salt="s", allowed_origins=("https://*.example",)), "wk_other": KeyInfo(project_id=2, salt="t")}
    app = IngestApp(Snapshot(keys=keys), Readers(0, spool))  # type: ignore[arg-type]
    app._limit.per_second = app._limit.burst = 1e12
    return app, spool


async def post(app: IngestApp, path: str, body: bytes, headers: list[tuple[bytes, bytes]], query: bytes = b"") -> tuple[int, dict[str, Any]]:
    """One request through the ASGI application, without the network."""
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": headers, "client": ("9.9.9.9", 1), "scheme": "http"}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def mutate(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """A copy with some parts replaced by hostile ones."""
    if rng.random() < (0.02 if depth == 0 else 0.12):
        return rng.choice(HOSTILE)
    if isinstance(value, dict):
        changed = {name: mutate(rng, inner, depth + 1) for name, inner in value.items() if rng.random() > 0.03}
        if rng.random() < 0.1:
            changed[rng.choice([*SEED, *SEED["context"], "writeKey", "project_id", "value", "\ud7ff"])] = rng.choice(HOSTILE)  # type: ignore[misc]
        return changed
    if isinstance(value, list):
        return [mutate(rng, inner, depth + 1) for inner in value] * rng.choice([1, 1, 1, 0, 3])
    return value


def damage(rng: random.Random, body: bytes) -> bytes:
    """Sometimes the bytes themselves are wrong."""
    kind = rng.random()
    if kind < 0.75 or not body:
        return body
    place = rng.randrange(len(body))
    if kind < 0.85:
        return body[:place] + rng.randbytes(rng.randrange(1, 5)) + body[place + 1 :]
    if kind < 0.9:
        return body[:place]
    if kind < 0.94:
        return gzip.compress(body, 1)
    if kind < 0.96:
        packed = gzip.compress(body, 1)
        return packed[: rng.randrange(2, len(packed))]
    if kind < 0.98:
        return body[:place] + b"[" * rng.randrange(3000) + body[place:]
    return body.replace(b"12.5", rng.choice([b"NaN", b"-Infinity", b"1e999", b"00", b"-", b"12.5e", b'"\\ud800"']))


def surroundings(rng: random.Random) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and query; the key is in one of them, mostly."""
    headers, query = [(b"user-agent", b"fuzz"), (b"authorization", AUTHORIZATIONS[0])], b"api_secret=wk_test"
    if rng.random() < 0.2:
        headers[1] = (b"authorization", rng.choice(AUTHORIZATIONS))
    if rng.random() < 0.2:
        headers.append((b"origin", rng.choice(ORIGINS)))
    if rng.random() < 0.2:
        headers.append((b"sentat", rng.choice(SENT_ATS)))
    return headers, rng.choice(QUERIES) if rng.random() < 0.2 else query


def test_a_hundred_thousand_hostile_bodies_bring_no_crash_no_5xx_and_no_write_to_another_project() -> None:
    app, spool = application()
    rng = random.Random(20260601)
    paths = ["/v1/batch", "/v1/b", "/v1/track", "/v1/t", "/v1/page", "/v1/identify", "/v1/i", "/mp/collect", "/v1/m"]

    async def run() -> dict[int, int]:
        statuses: dict[int, int] = {}
        for case in range(CASES):
            path = paths[case % len(paths)]
            document = mutate(rng, {"batch": [SEED, SEED], "sentAt": "2026-06-01T10:00:01Z"} if path in paths[:2] else SEED)
            if path == "/mp/collect":
                document = {"client_id": "c", "events": [{"name": "purchase", "params": document}]}
            spool.entry = Entry(b"", 0)
            headers, query = surroundings(rng)
            status, answer = await post(app, path, damage(rng, json.dumps(document).encode(errors="surrogatepass")), headers, query)
            statuses[status] = statuses.get(status, 0) + 1
            assert status in (200, 400, 401, 403, 413), (status, answer, headers, query)
            rows = decode_lines(spool.entry.events)
            assert len(rows) == spool.entry.count
            assert {row[PROJECT] for row in rows} <= ({1} if headers[1][1] == AUTHORIZATIONS[0] else {1, 2})
            assert set(answer.get("rejected", ())) <= set(DROP_REASONS)
        return statuses

    statuses = asyncio.run(run())
    assert statuses[200] > CASES // 2
    assert statuses[400] > CASES // 100


def test_hostile_traffic_does_not_grow_the_process() -> None:
    app, _ = application()
    headers = [(b"authorization", b"Basic d2tfdGVzdDo=")]

    def body(number: int) -> bytes:
        """A different visitor, agent, page, SKU and campaign each time, and as long as allowed."""
        return json.dumps({"batch": [SEED | {
            "anonymousId": f"v{number}", "event": f"E{number}",
            "context": {"userAgent": f"Mozilla/5.0 {number} " + "u" * 900, "page": {"url": f"https://s{number}.example/{number}?" + "q" * 5000},
                        "ip": f"{number % 250}.{number // 250 % 250}.3.4", "campaign": {"source": f"{number}" * 500}},
            "properties": {f"key{number}": "x" * 3000, "sku": f"{number}" * 300},
        }]}).encode()  # fmt: skip

    async def run(start: int, count: int) -> None:
        for number in range(start, start + count):
            status, _ = await post(app, "/v1/batch", body(number), headers)
            assert status == 200

    asyncio.run(run(0, 6_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(run(6_000, 6_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 25_000  # KB: what the caches still take, 50 MB were sent


def test_a_gzip_bomb_costs_neither_time_nor_memory() -> None:
    app, _ = application()
    bomb = gzip.compress(b"[" + b" " * 100_000_000, 1)[:500_000]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    status, _ = asyncio.run(post(app, "/v1/batch", bomb, [(b"authorization", b"Basic d2tfdGVzdDo=")]))
    assert status == 413
    assert time.process_time() - begun < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000


@pytest.mark.parametrize(
    "text",
    [
        "@" * 30_000, "a@" * 15_000, "4 " * 15_000, "+1" * 15_000, "a." * 15_000 + "@", "-" * 30_000, "1-" * 15_000, "4111111111111111 " * 1_800,
        "aa://" * 6_000, "/?" * 15_000, "a://?" + ":1" * 14_000, "a://?" * 6_000, "a://?" + ")" * 30_000, "/" + "?" * 30_000,
        "0151 " * 6_000, "01 " * 10_000, "(222)" * 6_000, "222-222-" * 3_700,
    ],
)  # fmt: skip
def test_no_text_makes_scrubbing_slow(text: str) -> None:
    app, _ = application()
    body = json.dumps({"type": "track", "event": "E", "anonymousId": "v", "properties": {"t": text}}).encode()
    asyncio.run(post(app, "/v1/track", body.replace(text.encode(), b""), [(b"authorization", b"Basic d2tfdGVzdDo=")]))  # loads what is loaded once
    begun = time.process_time()
    status, _ = asyncio.run(post(app, "/v1/track", body, [(b"authorization", b"Basic d2tfdGVzdDo=")]))
    assert status == 200
    assert time.process_time() - begun < 0.25


def test_a_key_in_the_body_of_another_project_changes_nothing(tmp_path: Path) -> None:
    app, spool = application()
    body = json.dumps({"batch": [SEED | {"writeKey": "wk_other", "projectId": 2, "project_id": 2}], "writeKey": "wk_other"}).encode()
    status, _ = asyncio.run(post(app, "/v1/batch", body, [(b"authorization", b"Basic d2tfdGVzdDo=")]))
    assert status == 200
    assert [row[PROJECT] for row in decode_lines(spool.entry.events)] == [1]
