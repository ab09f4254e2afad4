"""The processes that read messages: they read as this one does, and their end loses nothing that was acknowledged."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from funnelwatch.store.client import Client
from tests.ingest.conftest import Node, wait_for
from tests.ingest.processes import Child

MESSAGES: list[Any] = [
    {"type": "track", "event": "Order Completed", "anonymousId": "v1", "messageId": "m1", "timestamp": "2026-11-20T10:00:00Z",
     "properties": {"order_id": "o1", "total": 12.5, "currency": "EUR", "products": [{"product_id": "red", "quantity": 2}]},
     "context": {"page": {"url": "https://shop.example/thanks?utm_source=mail"}, "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0)"}},
    {"type": "page", "anonymousId": "v1", "messageId": "m2", "properties": {"mail": "jane@example.com"}},
    {"type": "track", "anonymousId": "v1", "messageId": "nameless"},
    "no object",
]  # fmt: skip


#: As many in one second as make a node start its readers.
RUSH = [{"type": "page", "anonymousId": "v1", "messageId": f"rush-{number}"} for number in range(500)]


def children_of(pid: int | None = None) -> set[psutil.Process]:
    """Processes it started to compute; Python's own resource tracker is none."""
    return {child for child in psutil.Process(pid).children() if any("spawn_main" in part for part in child.cmdline())}


def readers_of(node: Node) -> set[psutil.Process]:
    """The children of this process that read for `node`, once it has them."""
    before = children_of()
    node.batch(*RUSH)
    wait_for(lambda: node.app._readers._ready)
    return children_of() - before


@pytest.fixture
def beside(tmp_path: Path, store: Client, project_id: int) -> Iterator[Node]:
    """A node with one reader."""
    made = Node(tmp_path / "beside", store, project_id + 700_000, readers=1)
    yield made
    made.close()


def test_a_small_shop_pays_for_no_reader(beside: Node) -> None:
    before = children_of()
    for _ in range(3):
        beside.batch(*MESSAGES)
    assert children_of() == before


def test_what_a_reader_makes_of_messages_is_what_the_web_process_makes_of_them(node: Node, beside: Node) -> None:
    (reader,) = readers_of(beside)
    used = reader.cpu_times().user
    for _ in range(20):
        beside.batch(*[{**MESSAGES[0], "messageId": f"more {number}"} for number in range(100)])
    assert reader.cpu_times().user > used
    answers = [each.batch(*MESSAGES).json() for each in (node, beside)]
    assert answers[0] == answers[1] == {"success": True, "accepted": 2, "rejected": {"missing_event": 1, "not_an_object": 1}}

    def told(each: Node) -> tuple[Any, Any]:
        own = ("project_id", "received_at", "inserted_at", "skew_ms", "visitor_id")
        rows = [row for row in each.stored() if row["message_id"] in ("m1", "m2")]
        kept = [{name: value for name, value in row.items() if name not in own} for row in rows]
        refused = [(row["name"], row["outcome"], row["notes"]) for row in each.live(2) if row["message_id"] == "nameless"]
        return sorted(kept, key=lambda row: row["message_id"]), refused

    ours, theirs = told(node), told(beside)
    ours[0][1]["ts"] = theirs[0][1]["ts"]  # m2 says no time: that of its receipt
    assert ours == theirs


def test_when_a_reader_dies_the_client_is_told_to_send_again_and_another_takes_its_place(beside: Node) -> None:
    (reader,) = readers_of(beside)
    reader.suspend()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(beside.batch, MESSAGES[1])
        wait_for(lambda: beside.app._readers._unread == 1 and not beside.app._readers._waiting)
        reader.kill()
        answer = waiting.result()
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["code"]) == (503, "1", "try_again")
    assert beside.batch(MESSAGES[1]).status_code == 200
    wait_for(lambda: beside.app._readers._ready)
    assert beside.batch(MESSAGES[1]).status_code == 200
    assert [row["message_id"] for row in beside.stored()][500:] == ["m2"]


@pytest.fixture
def pair(tmp_path: Path, store: Client, project_id: int) -> Iterator[Node]:
    """A node with two readers, both ready."""
    made = Node(tmp_path / "pair", store, project_id + 800_000, readers=2)
    made.batch(*RUSH)
    wait_for(lambda: len(made.app._readers._ready) == 2)
    yield made
    made.close()


def at_work(node: Node) -> psutil.Process:
    """The one of its readers that gets the next request: the one that had the last ones."""
    used = {reader: reader.cpu_times().user for reader in children_of()}
    for _ in range(20):
        node.batch(*[{**MESSAGES[0], "messageId": f"more {number}"} for number in range(100)])
    (found,) = [reader for reader, time in used.items() if reader.cpu_times().user > time]
    return found


def test_what_waits_for_a_reader_that_dies_is_read_by_another(pair: Node) -> None:
    reader = at_work(pair)
    pair.app._readers._look_again = lambda groups: None
    reader.suspend()
    with ThreadPoolExecutor(2) as others:
        lost = others.submit(pair.batch, MESSAGES[1])
        wait_for(lambda: len(pair.app._readers._idle) == 1)
        waiting = others.submit(pair.batch, {**MESSAGES[1], "messageId": "m3"})
        wait_for(lambda: pair.app._readers._waiting)
        reader.kill()
        assert (lost.result().status_code, waiting.result().status_code) == (503, 200)
        assert len(pair.app._readers._ready) == 1, "it waited for the dead one's successor"
    assert [row["message_id"] for row in pair.stored() if row["message_id"] in ("m2", "m3")] == ["m3"]


def test_nobody_waits_for_a_reader_that_is_held_up(pair: Node) -> None:
    reader = at_work(pair)
    reader.suspend()
    try:
        with ThreadPoolExecutor(1) as other:
            held_up = other.submit(pair.batch, MESSAGES[1])
            wait_for(lambda: len(pair.app._readers._idle) == 1)
            for number in range(3):
                assert pair.batch({**MESSAGES[1], "messageId": f"n{number}"}).status_code == 200
            assert not held_up.done()
            reader.resume()
            assert held_up.result().status_code == 200
    finally:
        reader.resume()
    assert sorted(row["message_id"] for row in pair.stored() if row["message_id"][0] in "mn" and row["name"] == "page_view") == ["m2", "n0", "n1", "n2"]


def test_a_full_spool_is_told_by_the_readers_too_and_empties_by_itself(beside: Node) -> None:
    beside.spool.writer.max_bytes = 2_000_000
    readers_of(beside)
    sent = []
    for number in range(2_000):
        answer = beside.batch({**MESSAGES[1], "messageId": f"large-{number}", "properties": {"text": "x" * 20_000}})
        if answer.status_code != 200:
            break
        sent.append(f"large-{number}")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "spool_full", "10")
    assert [row["message_id"] for row in beside.stored() if row["message_id"].startswith("large")] == sent
    wait_for(lambda: beside.batch(MESSAGES[0]).status_code == 200)


@pytest.mark.parametrize("sent", [1e300, -1e300, 10**30, -(2**63), "9999-12-31T23:59:59Z", "0001-01-01"])
def test_no_time_a_client_may_send_ends_a_reader(beside: Node, sent: Any) -> None:
    before = readers_of(beside)
    assert beside.batch({**MESSAGES[1], "timestamp": sent, "sentAt": sent}, sentAt=sent).json() == {"success": True}
    assert beside.stored(501)[-1]["message_id"] == "m2"
    assert all(reader.is_running() for reader in before)


def test_readers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    node = Child(tmp_path)
    httpx.post(f"{node.url}/v1/batch", json={"batch": RUSH}, auth=("wk_test", "")).raise_for_status()
    wait_for(lambda: children_of(node.pid))
    (reader,) = children_of(node.pid)
    node.kill()
    assert psutil.wait_procs([reader], timeout=10)[1] == []
    assert node.finish() == {f"rush-{number}": 1 for number in range(500)}
