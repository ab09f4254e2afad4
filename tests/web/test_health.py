"""The health page and the health API after real traffic: what waits, how long, what was dropped, repeated and set aside."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from funnelwatch.core import clock
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import encode_lines
from funnelwatch.ingest.intake import read_one
from funnelwatch.ingest.spool import Entry
from funnelwatch.projects.models import ApiToken, Project
from funnelwatch.store.client import Client as Store
from funnelwatch.store.client import StoreUnavailable
from funnelwatch.web.data import stored
from tests.ingest.conftest import Node, wait_for
from tests.web.conftest import text_of

PAGE = "/p/loomlane/health/"


@pytest.fixture
def shop_node(shop: Project, store: Store, tmp_path: Path, settings: Any) -> Iterator[Node]:
    """The shop's ingest, with a spool of its own that pages and API read."""
    settings.DATA_DIR = tmp_path
    node = Node(tmp_path / "spool", store, shop.pk)
    yield node
    node.close()


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "messageId": f"h{number}", "anonymousId": "v"} | more


def api_health(shop: Project, role: str) -> dict[str, Any]:
    _, token = ApiToken.issue(shop, role, role)
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/health/")
    assert answer.status_code == 200
    return dict(answer.json())


def test_what_waits_and_how_long_it_has_waited(shop_node: Node, shop: Project, bob: Client) -> None:
    assert shop_node.batch(*[event(number) for number in range(5)], event(0)).json() == {"success": True}
    sent = datetime.now(UTC)
    with clock.at(sent + timedelta(seconds=90)):
        page, status = text_of(bob.get(PAGE)), api_health(shop, "viewer")
    assert "Waiting in the spool 6 oldest 1 min 30 s old" in page
    assert "6 events waiting" in page
    assert "The drain cannot keep up" in page
    assert status["waiting_events"] == 6
    assert status["lag_seconds"] == pytest.approx(90, abs=2)
    assert status["spool_bytes"] == sum(path.stat().st_size for path in shop_node.directory.glob("*.sqlite*"))


def test_what_was_stored_repeated_and_rejected(shop_node: Node, shop: Project, bob: Client) -> None:
    nobody = [event(number, anonymousId="") for number in (5, 6)]
    answer = shop_node.batch(*[event(number) for number in range(5)], event(0), *nobody, event(7, type="nonsense"))
    assert answer.json() == {"success": True, "accepted": 6, "rejected": {"missing_identity": 2, "invalid_type": 1}}
    shop_node.stored(5)
    page, status = text_of(bob.get(PAGE)), api_health(shop, "viewer")
    assert "Waiting in the spool 0 everything is stored Stored 5 1 repeats left out, all shops Set aside 0" in page
    assert "neither anonymousId nor userId missing_identity 2 unknown message type invalid_type 1" in page
    counted = {name: status[name] for name in ("waiting_events", "lag_seconds", "stored", "repeats", "poison", "drops")}
    assert counted == {
        "waiting_events": 0, "lag_seconds": 0, "stored": 5, "repeats": 1, "poison": 0,
        "drops": {"loomlane": {"missing_identity": 2, "invalid_type": 1}},
    }  # fmt: skip


def test_why_an_event_was_set_aside_is_told_to_the_shops_admins_without_personal_data(
    shop_node: Node, shop: Project, alice: Client, bob: Client
) -> None:
    key = shop_node.app.snapshot.keys["wk_test"]
    draft = read_one(b'{"type":"track","event":"E","anonymousId":"v"}', Arrival(key=key, now=clock.now_ms(), received_at=clock.now_ms()))
    draft.value = "anna@example.com"  # no amount: the engine refuses it
    shop_node.spool.put(Entry(encode_lines([draft]), 1))
    shop_node.start_drain()
    wait_for(lambda: shop_node.drain.stats().poison == 1)
    for text in (text_of(alice.get(PAGE)), api_health(shop, "admin")["set_aside"]["loomlane"][0]["reason"]):
        assert "Cannot parse input" in text
        assert "[email]" in text
        assert "anna@" not in text
    assert "Events set aside" not in text_of(bob.get(PAGE))
    assert api_health(shop, "responder")["set_aside"] == {}
    other = Project.objects.create(organisation=shop.organisation, name="other")
    assert api_health(other, "admin")["set_aside"] == {"other": []}


def test_how_many_clocks_were_off_and_how_much_was_sent_again(shop_node: Node, shop: Project, bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    slow, ahead = (now - timedelta(minutes=10)).isoformat(), (now + timedelta(days=3)).isoformat()
    assert shop_node.batch(*[event(number) for number in range(5)], event(0)).status_code == 200
    assert shop_node.batch(*[event(number, timestamp=slow) for number in (5, 6)], sentAt=slow).status_code == 200
    assert shop_node.batch(event(7, timestamp=ahead)).status_code == 200
    shop_node.stored(8)
    with clock.at(datetime.now(UTC) + timedelta(seconds=1)):
        page = text_of(bob.get(PAGE))
    assert "Clocks off by over a minute 25.0 % of 8 events in 24 hours" in page
    assert "Times that could not be used 12.5 %" in page
    assert "Sent again 11.1 % 1 repeats of Loomlane left out" in page
    assert api_health(shop, "viewer")["projects"] == {"loomlane": {"stored": 8, "repeats": 1}}

    def away() -> None:
        raise StoreUnavailable("no answer from 9000")

    monkeypatch.setattr(stored, "client", away)
    assert "Clocks – not known: the event store cannot be reached Sent again 11.1 %" in text_of(bob.get(PAGE))
