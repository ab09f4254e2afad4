"""Erasing where several nodes have a spool each: every node empties its own and says so; who does not is named."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.ingest import privacy, segments
from funnelwatch.ingest.spool import Spool
from funnelwatch.pipeline import nodes
from funnelwatch.projects.models import ErasureAnswer, ErasureOrder, Project
from funnelwatch.store.queries import drained
from tests.api.test_erase import drained as drain_here
from tests.api.test_erase import post, send
from tests.web.conftest import NOW


@pytest.fixture(autouse=True)
def many_nodes(project_id: int) -> Iterator[None]:
    """This process is one node of several, so late that of all the store has heard of only this test's still live."""
    pipeline.start()
    with override_settings(EMBEDDED=False), clock.at(NOW + timedelta(days=400, hours=2 * project_id)):
        yield


@pytest.fixture
def node(tmp_path: Path, shop: Project) -> Callable[[str], Any]:
    """A node with a disk of its own, alive, with Anna's visit in its spool, not drained."""

    def make(name: str) -> Any:
        with override_settings(DATA_DIR=tmp_path / name):
            spool = Spool(nodes.spool(), 10**9)
            send(spool, shop, "anna", len(name), "view_item", "purchase")
            send(spool, shop, "ben", len(name), "view_item")
            spool.close()
            drained.save(pipeline.runtime().client, str(nodes.here()), clock.now_ms())
            return tmp_path / name

    return make


def name_of(directory: Path) -> str:
    return segments.node(directory / "spool")


def work(directory: Path, drain: bool = True) -> None:
    """What a web process of that node does every two seconds; `drain`: its store can be reached."""
    with override_settings(DATA_DIR=directory):
        if drain:
            drain_here()
        pipeline.carry_out_orders()


def passing(monkeypatch: pytest.MonkeyPatch, *rounds: Callable[[], None]) -> None:
    """While the eraser waits, other nodes do this, one after the other."""
    left = list(rounds)
    monkeypatch.setattr(nodes, "sleep", lambda _seconds: left.pop(0)() if left else None)
    monkeypatch.setattr(nodes, "ANSWER_SECONDS", 5.0)


def stored(shop: Project) -> set[str]:
    sql = "SELECT DISTINCT visitor_id FROM events WHERE project_id = {p:UInt32}"
    return set(pipeline.runtime().client.query(sql, {"p": shop.pk}).columns[0])


def pseudonyms(shop: Project, *visitors: str) -> set[str]:
    return {privacy.pseudonym(shop.salt, visitor) for visitor in visitors}


def lies_in(directory: Path, shop: Project, visitor: str) -> bool:
    (name,) = pseudonyms(shop, visitor)
    return any(name.encode() in path.read_bytes() for path in (directory / "spool").iterdir())


def test_a_slow_nodes_events_are_awaited_and_erased_and_the_receipt_says_what_lay_where(
    as_role: Any, shop: Project, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = node("a"), node("bb")
    answers: list[int] = []

    def cannot_store() -> None:
        work(other, drain=False)
        answers.append(ErasureAnswer.objects.filter(node=name_of(other)).count())

    passing(monkeypatch, cannot_store, cannot_store, lambda: work(other))
    with override_settings(DATA_DIR=here):
        receipt = post(as_role("admin"), shop, person="anna").json()
    assert answers == [0, 0]  # not before what it had received is stored
    assert receipt["nodes"] == {name_of(here): 2, name_of(other): 2}
    assert (receipt["rows"]["events"], receipt["spool"], receipt["open"], receipt["left"]) == (4, 4, [], 0)
    assert stored(shop) == pseudonyms(shop, "ben")
    assert not lies_in(here, shop, "anna")
    assert not lies_in(other, shop, "anna")


def test_a_node_that_does_not_answer_is_named_and_a_second_call_completes_the_work(
    as_role: Any, shop: Project, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, here, away = as_role("admin"), node("a"), node("bb")
    monkeypatch.setattr(nodes, "ANSWER_SECONDS", 0.0)
    times = {"from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
    with override_settings(DATA_DIR=here):
        receipt = post(admin, shop, **times).json()
        assert (receipt["open"], receipt["rows"]["events"], receipt["nodes"][name_of(here)]) == ([name_of(away)], 3, 3)
    work(away)  # its disk is back: what it had received arrives after the erasure
    assert stored(shop) == pseudonyms(shop, "anna", "ben")
    passing(monkeypatch, lambda: work(away))
    with override_settings(DATA_DIR=here):
        receipt = post(admin, shop, **times).json()
    assert (receipt["open"], receipt["rows"]["events"], receipt["left"]) == ([], 3, 0)
    assert stored(shop) == set()
    assert not lies_in(away, shop, "anna")


def test_an_order_never_holds_the_id_the_shop_knows(as_role: Any, shop: Project, node: Any) -> None:
    looks_like_ours = "00c0ffee00c0ffee"
    with override_settings(DATA_DIR=node("a")):
        assert post(as_role("admin"), shop, person=looks_like_ours).json()["open"] == []
    (order,) = ErasureOrder.objects.values()
    assert looks_like_ours not in json.dumps(order, default=str)
    assert order["people"]


def test_orders_are_forgotten_after_a_month(as_role: Any, shop: Project, node: Any) -> None:
    old = ErasureOrder.objects.create(project=shop, people=["x"], at=clock.now() - nodes.REMEMBERED - timedelta(minutes=1))
    with override_settings(DATA_DIR=node("a")):
        assert post(as_role("admin"), shop, person="anna").json()["open"] == []
    assert not ErasureOrder.objects.filter(pk=old.pk).exists()
    assert ErasureOrder.objects.count() == 1
