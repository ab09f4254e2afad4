"""A funnel's report says what it has not counted yet, and every version and every time that was counted has one."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.events import Event
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.store.queries import events
from tests.web.conftest import NOW, text_of

V1 = "/api/v1"
SHORTER = {"steps": [{"name": "look", "events": ["view_item"]}, {"name": "buy", "events": ["purchase"]}]}


def visits(project: Project, at: datetime, count: int, *names: str) -> list[Event]:
    """`count` visits, the first at `at` and one a minute from there on, with an event a second."""
    return [
        Event(project_id=project.pk, message_id=f"{at:%F %T}-{number}-{name}", name=name, ts=ts, received_at=ts, visitor_id=f"{at:%F %T}-{number}", session_id="s")
        for number in range(count)
        for ts, name in enumerate(names, clock.to_ms(at) + number * 60_000)
    ]  # fmt: skip


def store(project: Project, *made: list[Event]) -> None:
    events.insert(pipeline.start().client, sum(made, []), f"{project.pk}-{made[0][0].message_id}")


def report(client: Client, funnel: Funnel, start: datetime, end: datetime) -> Any:
    return client.get(f"{V1}/funnels/{funnel.pk}/report", {"from": start.isoformat(), "to": end.isoformat()}).json()


def entered(answer: Any) -> list[tuple[str, int]]:
    return [(step["step"], step["entered"]) for step in answer["steps"]]


@pytest.fixture
def yesterday(shop: Project) -> datetime:
    """Ten visits that looked, four of which bought, rolled up."""
    start = NOW - timedelta(days=1)
    store(shop, visits(shop, start, 4, "view_item", "add_to_cart", "purchase"), visits(shop, start + timedelta(minutes=4), 6, "view_item"))
    pipeline.tick(shop.pk)
    return start


def test_a_new_version_is_counted_by_the_next_tick_and_until_then_says_that_it_is_not(
    as_role: Any, alice: Client, shop: Project, yesterday: datetime
) -> None:
    admin = as_role("admin")
    first = Funnel.objects.get()
    was = report(admin, first, yesterday, NOW)
    assert (was["minutes_missing"], entered(was)) == (0, [("view_item", 10), ("add_to_cart", 4), ("purchase", 4)])
    second = Funnel.objects.get(pk=admin.post(f"{V1}/funnels/", SHORTER, content_type="application/json").json()["id"])
    waiting = report(admin, second, yesterday, NOW)
    assert (waiting["minutes_missing"], {step["complete"] for step in waiting["steps"]}) == (10, {None})
    assert "The history of this version is being counted." in text_of(alice.get("/p/loomlane/funnel/?period=7d"))
    pipeline.tick(shop.pk)
    counted = report(admin, second, yesterday, NOW)
    assert (counted["minutes_missing"], entered(counted)) == (0, [("look", 10), ("buy", 4)])
    assert "is being counted" not in text_of(alice.get("/p/loomlane/funnel/?period=7d"))
    assert entered(report(admin, first, yesterday, NOW)) == entered(was)


def test_a_history_longer_than_a_tick_has_time_for_is_counted_over_several(
    as_role: Any, shop: Project, yesterday: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(shop, visits(shop, yesterday - timedelta(days=40), 3, "view_item"))
    pipeline.tick(shop.pk)
    admin = as_role("admin")
    second = Funnel.objects.get(pk=admin.post(f"{V1}/funnels/", SHORTER, content_type="application/json").json()["id"])
    start = yesterday - timedelta(days=41)
    monkeypatch.setattr("funnelwatch.pipeline.rolling.FILL_SECONDS", 1e-9)
    missing = []
    for _ in range(4):
        missing.append(report(admin, second, start, NOW)["minutes_missing"])
        pipeline.tick(shop.pk)
    assert missing == [13, 3, 0, 0]


def test_a_time_without_events_is_nobody_and_complete(as_role: Any, shop: Project, yesterday: datetime) -> None:
    long_before = NOW - timedelta(days=60)
    answer = report(as_role("viewer"), Funnel.objects.get(), long_before, long_before + timedelta(days=1))
    assert (answer["minutes_missing"], {count for _, count in entered(answer)}) == (0, {0})
    assert {step["complete"] for step in answer["steps"][:-1]} == {1.0}


def test_the_running_minute_is_in_a_report(as_role: Any, shop: Project, yesterday: datetime) -> None:
    store(shop, visits(shop, NOW + timedelta(seconds=1), 1, "view_item", "add_to_cart"))
    with clock.at(NOW + timedelta(seconds=15)):
        pipeline.tick(shop.pk)
        answer = report(as_role("viewer"), Funnel.objects.get(), NOW, NOW + timedelta(seconds=15))
        assert entered(answer)[:2] == [("view_item", 1), ("add_to_cart", 1)]
        last_day = as_role("viewer").get(f"{V1}/funnels/{Funnel.objects.get().pk}/report").json()
        assert entered(last_day)[0] == ("view_item", 10)  # the first minute of the ten is a day old, the running one is new


def test_a_late_look_on_the_phone_counts_for_the_users_purchase_on_the_laptop(as_role: Any, shop: Project, yesterday: datetime) -> None:
    admin = as_role("admin")
    made = admin.post(f"{V1}/funnels/", SHORTER | {"count_by": "visitor"}, content_type="application/json").json()
    start = NOW - timedelta(hours=1)
    for moment, name in ((start + timedelta(minutes=5), "purchase"), (start, "view_item")):
        store(shop, [msgspec.structs.replace(event, user_id="ann") for event in visits(shop, moment, 1, name)])
        pipeline.tick(shop.pk)
    assert entered(report(admin, Funnel.objects.get(pk=made["id"]), start, NOW)) == [("look", 1), ("buy", 1)]
