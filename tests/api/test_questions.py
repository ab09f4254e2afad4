"""Questions about a funnel by API: a viewer gets each answered, a stranger none, and a question that cannot be answered says why."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.pipeline.funnels import watched_funnels
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events
from tests.web.conftest import NOW

HOUR = {"from": "2026-11-21T04:00:00Z", "to": "2026-11-21T05:00:00Z"}
START = int(NOW.timestamp()) // 86_400 * 86_400_000 + 4 * 3_600_000
WEEK = 7 * 86_400_000
CART = {"step": "view_item->add_to_cart"}
ACTIONS = {
    "compare": {}, "movers": {}, "time-to-convert": CART, "drop-off": CART, "strips": CART, "odds": CART, "outcomes": {}, "latency": {}, "report": {},
}  # fmt: skip


def a_session(project: Project, number: int, start: int, broken: bool) -> list[Event]:
    """Every fourth buys for 10 EUR, on a computer; of phones, once broken, four in five see their payment fail and leave."""
    phone = number % 2 == 1
    deeds: list[tuple[int, str, dict[str, Any]]] = [(0, "view_item", {})]
    if not (broken and phone and number % 10 != 1):
        deeds.append((20, "add_to_cart", {"duration_ms": 300.0 if phone else 100.0}))
    if broken and phone:
        deeds.append((30, "payment_failed", {"error_code": "declined"}))
    if number % 4 == 0:
        deeds.append((40, "purchase", {"value": Decimal(10), "currency": "EUR", "order_id": f"{start}-{number}"}))
    at = start + number * 60_000 // 2
    return [
        Event(project_id=project.pk, message_id=f"{start}-{number}-{name}", name=name, ts=at + second * 1_000, received_at=at + second * 1_000,
              visitor_id=f"visitor{number}", session_id=f"{start}-{number}", device="mobile" if phone else "desktop", browser="Safari", **more)
        for second, name, more in deeds
    ]  # fmt: skip


@pytest.fixture
def ask(shop: Project, as_role: Any) -> Any:
    """Asks about the hour in which phones broke, as a viewer."""
    made = [event for start, broken in ((START - WEEK, False), (START, True)) for number in range(60) for event in a_session(shop, number, start, broken)]
    store = pipeline.runtime().client
    events.insert(store, made, f"questions-{shop.pk}")
    (watched,) = watched_funnels(store, shop, START - 1, START + 3_600_000)
    for start in (START - WEEK, START):
        roll_up(store, watched.collected, "", start // 60_000, start // 60_000 + 60)
    client = as_role("viewer")

    def get(name: str, status: int = 200, **params: Any) -> Any:
        response = client.get(f"/api/v1/funnels/{Funnel.objects.get().pk}/{name}/", HOUR | params)
        assert response.status_code == status, response.content
        return response.json()

    return get


def test_an_hour_is_compared_with_the_same_hour_a_week_before(ask: Any) -> None:
    found = ask("compare")
    assert found["before"] == {"from": "2026-11-14T04:00:00Z", "to": "2026-11-14T05:00:00Z", "known_until": "2026-11-14T09:14:00Z", "minutes_missing": 0, "cohort": []}
    assert found["after"]["known_until"] == "2026-11-21T09:14:00Z"
    row = found["steps"][0]
    assert [(row[side]["step"], row[side]["entered"], row[side]["converted"]) for side in ("before", "after")] == [("view_item", 60, 60), ("view_item", 60, 36)]
    assert row["difference"] == pytest.approx(-0.4)
    assert row["interval"][0] < -0.4 < row["interval"][1] < 0


def test_cohorts_are_compared_in_one_period_or_in_two(ask: Any) -> None:
    phones, computers = "device:mobile", "device:desktop"
    counts = lambda found: [(found["steps"][0][side]["entered"], found["steps"][0][side]["converted"]) for side in ("before", "after")]  # noqa: E731
    found = ask("compare", cohort=phones, with_cohort=computers)
    assert (found["before"]["from"], found["before"]["cohort"]) == (HOUR["from"], [{"dimension": "device", "value": "desktop"}])
    assert counts(found) == [(30, 30), (30, 6)]
    assert counts(ask("compare", cohort=phones, with_cohort="")) == [(60, 36), (30, 6)]
    assert counts(ask("compare", cohort=[phones, computers])) == [(60, 60), (60, 36)]
    assert counts(ask("compare", cohort=phones, with_from="2026-11-14T04:00:00Z", with_to="2026-11-14T05:00:00Z")) == [(30, 30), (30, 6)]


def test_the_top_mover_is_the_cohort_that_broke(ask: Any) -> None:
    found = ask("movers", least=20)
    phones = next(row for row in found["movers"] if row["cohort"] == [{"dimension": "device", "value": "mobile"}])
    assert (phones["step"], phones["difference"], phones["conversions"]) == ("view_item", pytest.approx(-0.8), pytest.approx(-24))
    assert not [row for row in found["movers"] if row["cohort"] == [{"dimension": "device", "value": "desktop"}]]
    assert len(ask("movers", least=20, limit=1)["movers"]) == 1


def test_how_long_a_step_takes_is_told_in_minutes(ask: Any) -> None:
    found = ask("time-to-convert", **CART)
    assert (found["count"], found["median"], found["p90"]) == (36, 0, 0)
    assert found["histogram"][0][0] == 0
    assert ask("time-to-convert", **CART, cohort="device:mobile")["count"] == 6


def test_those_who_left_are_told_by_what_they_did_next(ask: Any) -> None:
    found = ask("drop-off", **CART)
    (row,) = found.pop("next")
    assert found == {**HOUR, "minutes_missing": 0, "left": 24, "left_out": 0}
    assert (row["event"], row["error_code"], row["sessions"], row["share"]) == ("payment_failed", "declined", 24, 1.0)
    assert row["interval"] == pytest.approx([0.862, 1.0], abs=1e-3)


def test_five_failing_sessions_stand_beside_five_passing_ones_and_nobody_is_named(ask: Any) -> None:
    found = ask("strips", **CART)
    assert len(found["pairs"]) == 5
    for pair in found["pairs"]:
        assert [event["event"] for event in pair["failing"]["events"]] == ["view_item", "payment_failed"]
        assert [event["event"] for event in pair["passing"]["events"]] == ["view_item", "add_to_cart", "payment_failed"]
    assert "visitor" not in json.dumps(found)


def test_converters_are_set_against_the_others(ask: Any) -> None:
    found = ask("odds", **CART, least=20)
    assert (found["entered"], found["converted"], found["left_out"]) == (60, 36, 0)
    row = next(row for row in found["properties"] if row["value"] == "mobile")
    assert (row["entered"], row["converted"]) == (30, 6)
    assert row["ratio"] == pytest.approx(6.5 * 0.5 / (24.5 * 30.5))
    assert row["interval"][0] < row["ratio"] < row["interval"][1] < 1


def test_what_came_of_it_is_told_by_currency_and_trouble_by_class(ask: Any) -> None:
    found = ask("outcomes")
    assert found["orders"] == [
        {"currency": "EUR", "orders": 15, "units": 0, "revenue": 150.0, "average": 10.0, "per_session": 2.5, "refunds": 0, "refunded": 0.0,
         "steps": [{"step": "purchase", "orders": 15, "units": 0, "revenue": 150.0}]},
    ]  # fmt: skip
    assert found["trouble"] == [
        {"step": "view_item", "event": "payment_failed", "error_code": "declined", "events": 24},
        {"step": "add_to_cart", "event": "payment_failed", "error_code": "declined", "events": 6},
    ]
    assert ask("outcomes", cohort="device:mobile")["orders"] == []
    assert ask("outcomes", cohort=["device:mobile", "device:desktop"]) == found


def test_latency_is_that_of_the_cohort_asked_for(ask: Any) -> None:
    (row,) = ask("latency", cohort="device:mobile")["steps"]
    assert (row["event"], row["p50_ms"]) == ("add_to_cart", pytest.approx(300, rel=0.02))


def test_sessions_that_have_just_come_are_left_out_and_not_lost(ask: Any, shop: Project) -> None:
    store, now = pipeline.runtime().client, int(NOW.timestamp()) * 1000
    events.insert(store, [event for number in range(5) for event in a_session(shop, number, now - 180_000, True)[:1]], f"young-{shop.pk}")
    (watched,) = watched_funnels(store, shop, START - 1, now)
    roll_up(store, watched.collected, "", now // 60_000 - 5, now // 60_000)
    found = ask("drop-off", **CART, **{"from": "2026-11-21T09:10:00Z", "to": "2026-11-21T09:14:00Z"})
    assert (found["left"], found["left_out"], found["next"]) == (0, 5, [])


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("drop-off", {}, "step"), ("strips", {"step": "view_item->purchase"}, "step"), ("odds", {**CART, "cohort": "shoe:42"}, "cohort"),
        ("compare", {"with_from": "2026-11-14T04:00:00Z"}, "with_to"), ("compare", {"with_cohort": "device"}, "with_cohort"),
        ("compare", {"with_from": "2026-11-14T04:00:00Z", "with_to": "yesterday"}, "with_to"), ("movers", {"limit": "many"}, "limit"),
        ("outcomes", {"from": "0001-01-01T00:00:00Z"}, "from"), ("compare", {"with_from": "2026-11-14T04:00:00Z", "with_to": "2026-11-13T04:00:00Z"}, "with_from"),
        ("odds", {**CART, "cohort": "sku:hat"}, "cohort"), ("outcomes", {"cohort": ["sku:hat", "sku:mug"]}, "cohort"),
        ("time-to-convert", {**CART, "cohort": ["device:mobile", "currency:EUR"]}, "cohort"), ("latency", {"cohort": "x"}, "cohort"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_a_problem_naming_the_parameter(ask: Any, name: str, params: dict[str, Any], field: str) -> None:
    problem = ask(name, 400, **params)
    assert (problem["status"], problem["title"]) == (400, "Bad Request")
    assert list(problem["errors"]) == [field]


def test_a_time_since_1970_is_compared_as_well(ask: Any) -> None:
    row = ask("compare", **{"from": "1970-01-02T00:00:00Z"})["steps"][0]
    assert (row["before"]["entered"], row["after"]["entered"]) == (60, 120)


def test_a_series_is_of_one_value_and_says_so(as_role: Any, ask: Any) -> None:
    response = as_role("viewer").get("/api/v1/series/", HOUR | CART | {"cohort": ["device:mobile", "device:desktop"]})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["cohort"])


@pytest.mark.parametrize("name", ACTIONS)
def test_another_projects_funnel_is_not_found(shop: Project, as_role: Any, name: str) -> None:
    other = Project.objects.create(organisation=shop.organisation, name="other")
    address = f"/api/v1/funnels/{Funnel.objects.get().pk}/{name}/"
    assert as_role("admin", other).get(address, HOUR | ACTIONS[name]).status_code == 404
    assert Client().get(address).status_code == 401
    assert as_role("admin").post(address).status_code == 405


def test_the_schema_describes_each_question(db: None) -> None:
    text = Client().get("/api/schema/").content.decode()
    for name in ACTIONS:
        assert f"/api/v1/funnels/{{id}}/{name}/" in text
