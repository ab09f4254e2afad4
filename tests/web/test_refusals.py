"""Requests that were refused as a whole: their project's people see them in the live view."""

import json
import time
from typing import Any

import httpx
import pytest
from django.test import Client

from funnelwatch.ingest.limits import RateLimit
from funnelwatch.ingest.spool import SpoolFull
from funnelwatch.store.queries import recent
from tests.ingest.conftest import KEY, Node, node, wait_for  # noqa: F401  fixture
from tests.web.conftest import text_of

EVENT = {"type": "track", "event": "purchase", "anonymousId": "v"}
LARGE = EVENT | {"properties": {"text": "x" * 33_000}}
BASIC = (KEY, "")


def forbid(node: Node) -> None:  # noqa: F811
    node.configure(allowed_origins=("https://shop.example",))


def slow_down(node: Node) -> None:  # noqa: F811
    node.app._limit = RateLimit(1, 1)
    node.app._limit.take(node.project_id, 1, time.monotonic())


@pytest.mark.parametrize(
    ("set_up", "request_", "status", "shown"),
    [
        (forbid, {"path": "/v1/t", "json": EVENT | {"writeKey": KEY}, "headers": {"Origin": "https://dev.example"}}, 403, "sent from an origin the key is not for What each step did Request refused: this write key may not be used from https://dev.example"),
        (None, {"path": "/v1/batch", "content": b"[]", "auth": BASIC}, 400, "not a batch of events What each step did Request refused: the body must be an object with `batch`"),
        (None, {"path": "/mp/collect", "content": b'{"events": 5}', "params": {"api_secret": KEY}}, 400, "not a body of the Measurement Protocol What each step did Request refused"),
        (None, {"path": "/v1/track", "json": LARGE | {"writeKey": KEY}}, 413, "larger than allowed What each step did Request refused: an event may have 32768 bytes"),
        (None, {"path": "/v1/batch", "content": b" " * 600_000, "auth": BASIC}, 413, "larger than allowed What each step did Request refused: a body may have 512000 bytes"),
        (slow_down, {"path": "/v1/batch", "json": {"batch": [EVENT], "writeKey": KEY}}, 429, "faster than the project may send What each step did Request refused: this project sends faster than its rate allows"),
        (None, {"path": "/v1/events", "json": EVENT, "auth": BASIC}, 404, "no such address What each step did Request refused: no such path; events go to /v1/batch"),
    ],
    ids=["origin", "batch", "ga4", "event too large", "body too large", "rate", "path"],
)  # fmt: skip
def test_a_refused_request_is_shown_with_its_reason(node: Node, alice: Client, set_up: Any, request_: dict[str, Any], status: int, shown: str) -> None:  # noqa: F811
    if set_up:
        set_up(node)
    sent = dict(request_)
    path = sent.pop("path")
    assert httpx.post(node.url + path, **sent).status_code == status
    node.start_drain()
    wait_for(lambda: f"{path} rejected {shown}" in text_of(alice.get("/p/loomlane/live/")))
    assert len(recent.latest(node.store, node.project_id)) == 1


def test_who_sends_without_a_known_key_writes_into_nobodys_live_view(node: Node) -> None:  # noqa: F811
    assert httpx.post(node.url + "/v1/batch", content=b"[]", auth=("wk_foreign", "")).status_code == 400
    assert httpx.post(node.url + "/v1/batch", json={"batch": [], "writeKey": "wk_foreign"}).status_code == 401
    assert node.http.post("/v1/track", json=EVENT).status_code == 200
    assert [row["outcome"] for row in node.live(1)] == ["accepted"]


def test_a_flood_of_refused_requests_leaves_no_more_rows_than_the_sample_has_room_for(node: Node) -> None:  # noqa: F811
    begun = time.monotonic()
    for _ in range(300):
        node.http.post("/v1/batch", content=b"[]")
    room = 100 + 50 * (time.monotonic() - begun)
    assert node.http.post("/v1/track", json=EVENT | {"event": "last"}).status_code == 200
    wait_for(lambda: any(row["name"] == "last" for row in node.live(1)))
    refused = node.store.query("SELECT count() FROM ingest_recent WHERE project_id = {p:UInt32} AND outcome = 'invalid_batch'", {"p": node.project_id}).scalar()
    assert 100 <= refused <= room + 1


def test_with_a_full_spool_a_refusal_is_answered_all_the_same_and_not_shown(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture  # noqa: F811
) -> None:
    tried: list[Any] = []

    def full(entries: Any) -> None:
        tried.extend(entries)
        raise SpoolFull("no room")

    monkeypatch.setattr(node.spool.writer, "write", full)
    answer = node.http.post("/v1/batch", content=b"[]")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "invalid_batch")
    wait_for(lambda: tried)
    monkeypatch.undo()
    assert node.batch(EVENT).status_code == 200
    assert [row["outcome"] for row in node.live(1)] == ["accepted"]
    assert not caplog.records


def test_a_single_event_that_cannot_be_read_is_shown_once(node: Node) -> None:  # noqa: F811
    assert node.http.post("/v1/track", content=b'{"event": "half').status_code == 400
    assert node.http.post("/v1/track", json=EVENT).status_code == 200
    assert sorted(row["outcome"] for row in node.live(2)) == ["accepted", "invalid_json"]
