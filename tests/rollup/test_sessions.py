"""Questions about single sessions, on small histories whose answers can be counted by hand."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.core.stats import rates
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events, sessions
from funnelwatch.store.queries.span import Span
from tests.rollup.histories import Deeds, a_session

MINUTE = 1_793_203_200 // 60
DAY = 1_440
PHONE = {"device": "mobile", "os": "iOS", "browser": "Safari", "country": "DE"}
COMPUTER = {"device": "desktop", "os": "Windows", "browser": "Chrome", "country": "DE"}
Told = Callable[..., Span]


@pytest.fixture
def told(store: Client, project_id: int) -> Told:
    """Stores and rolls up sessions, and gives the span to ask about: minutes [0, 30) of the day, as known after `age` minutes more."""

    def tell(history: list[list[Event]], age: int = 600, **funnel: Any) -> Span:
        definition = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>add_to_cart>purchase"), **funnel)
        made = [event for session in history for event in session]
        events.insert(store, made, f"sessions-{project_id}")
        days = {event.ts // 60_000 // DAY * DAY for event in made}
        for day in sorted(days):
            roll_up(store, definition, "", day, day + DAY)
        return Span(definition, MINUTE, MINUTE + 30, MINUTE + 30 + age)

    return tell


def test_those_who_left_are_told_by_the_first_thing_they_did_instead(store: Client, told: Told, project_id: int) -> None:
    stayed: list[Deeds] = [
        [(0, "view_item"), (30, "payment_failed/declined")],
        [(0, "view_item"), (45, "payment_failed/declined"), (50, "search")],
        [(0, "view_item"), (20, "search"), (40, "payment_failed/declined")],
        [(0, "view_item")],
        [(0, "view_item")],
        [(0, "view_item"), (31 * 60, "search")],
    ]
    went_on: list[Deeds] = [[(0, "view_item"), (10, "search"), (20, "add_to_cart")]] * 4
    span = told([a_session(project_id, f"v{i}", MINUTE + i, deeds, **PHONE) for i, deeds in enumerate([*stayed, *went_on])])
    assert sessions.drop_off(store, span, "view_item") == {
        "left": 6,
        "left_out": 0,
        "next": [
            {"event": event, "error_code": code, "sessions": count, "share": pytest.approx(count / 6), "interval": rates.wilson(count, 6)}
            for event, code, count in (("", "", 3), ("payment_failed", "declined", 2), ("search", "", 1))
        ],
    }
    assert sessions.drop_off(store, span, "view_item", Cohort.of({"device": "desktop"})) == {"left": 0, "left_out": 0, "next": []}


def test_the_last_step_has_nobody_to_lose(store: Client, told: Told, project_id: int) -> None:
    span = told([a_session(project_id, "v", MINUTE, [(0, "view_item"), (9, "add_to_cart"), (20, "purchase")])])
    with pytest.raises(ValueError, match="last step"):
        sessions.drop_off(store, span, "purchase")


def test_sessions_that_just_arrived_are_left_out_and_not_lost(store: Client, told: Told, project_id: int) -> None:
    span = told([a_session(project_id, f"v{i}", MINUTE + 29, [(0, "view_item")], **PHONE) for i in range(5)], age=0)
    assert sessions.drop_off(store, span, "view_item") == {"left": 0, "left_out": 5, "next": []}
    assert sessions.strips(store, span, "view_item") == {"left_out": 5, "pairs": []}
    assert sessions.odds_ratios(store, span, "view_item") == {"entered": 0, "converted": 0, "left_out": 5, "properties": []}


def test_without_a_learned_delay_a_session_has_the_funnels_window_to_go_on(store: Client, told: Told, project_id: int) -> None:
    span = told([a_session(project_id, f"v{i}", MINUTE + i, [(0, "view_item")]) for i in range(30)], age=40)
    found = sessions.drop_off(store, span, "view_item")
    assert (found["left"], found["left_out"]) == (10, 20)


def test_a_learned_delay_tells_who_has_had_the_time_to_go_on(store: Client, told: Told, project_id: int) -> None:
    past = [a_session(project_id, f"p{i}", MINUTE - 3 * DAY + i % 60, [(0, "view_item"), (300, "add_to_cart")]) for i in range(200)]
    asked = [a_session(project_id, f"v{i}", MINUTE + i, [(0, "view_item")]) for i in range(30)]
    found = sessions.drop_off(store, told(past + asked, age=0), "view_item")
    assert (found["left"], found["left_out"]) == (25, 5)


def test_each_failing_session_stands_beside_a_passing_one_of_its_own(store: Client, told: Told, project_id: int) -> None:
    history = [a_session(project_id, f"lost{i}", MINUTE + 10, [(i, "view_item"), (40, f"payment_failed/f{i}")], **PHONE) for i in range(5)]
    history += [a_session(project_id, f"won{i}", MINUTE + 10 + i, [(0, "view_item"), (20, f"search/p{i}"), (61, "add_to_cart")], **PHONE) for i in range(7)]
    history += [a_session(project_id, f"computer{i}", MINUTE + 11, [(0, "view_item")], **COMPUTER) for i in range(5)]
    span = told(history)
    pairs = sessions.strips(store, span, "view_item")["pairs"]
    codes = [[next(e["error_code"] for e in pair[side]["events"] if e["error_code"]) for pair in pairs] for side in ("failing", "passing")]
    assert sorted(codes[0]) == ["f0", "f1", "f2", "f3", "f4"]
    assert sorted(codes[1]) == ["p0", "p1", "p2", "p3", "p4"]
    assert all(pair[side]["dimensions"] == PHONE for pair in pairs for side in pair)
    assert [(e["second"], e["event"]) for e in pairs[0]["passing"]["events"]] == [(0.0, "view_item"), (20.0, "search"), (61.0, "add_to_cart")]
    alone = sessions.strips(store, span, "view_item", Cohort.of({"device": "desktop"}))["pairs"]
    assert [pair["passing"] for pair in alone] == [None] * 5


def test_a_strip_shows_what_happened_and_nobody(store: Client, told: Told, project_id: int) -> None:
    secrets = {
        "user_id": "user-4711", "visitor_id": "visitor-0815", "order_id": "order-99", "page_path": "/account/jane", "referrer": "https://mail.example/jane",
        "properties": '{"email": "jane@shop.example", "phone": "+49 30 1234"}',
    }  # fmt: skip
    failing = a_session(project_id, "a", MINUTE, [(0, "view_item"), (5, "http_error/500")], **PHONE, **secrets)
    passing = a_session(project_id, "b", MINUTE, [(0, "view_item"), (5, "add_to_cart")], **PHONE, **secrets | {"visitor_id": "visitor-0816"})
    (pair,) = sessions.strips(store, told([failing, passing]), "view_item")["pairs"]
    assert pair == {
        "failing": {"dimensions": PHONE, "events": [{"second": 0.0, "event": "view_item", "error_code": ""}, {"second": 5.0, "event": "http_error", "error_code": "500"}]},
        "passing": {"dimensions": PHONE, "events": [{"second": 0.0, "event": "view_item", "error_code": ""}, {"second": 5.0, "event": "add_to_cart", "error_code": ""}]},
    }  # fmt: skip
    assert not [word for word in ("4711", "081", "order-99", "jane", "1234", "session of") if word in json.dumps(pair)]


def test_converters_are_set_against_the_others_by_what_they_have(store: Client, told: Told, project_id: int) -> None:
    history = []
    for device, count, converted in ((PHONE, 40, 10), (COMPUTER, 60, 30), ({**PHONE, "device": "tablet", "os": "Android", "browser": "Chrome"}, 4, 4)):
        for i in range(count):
            deeds = [(0, "view_item"), (30, "add_to_cart")][: 1 + (i < converted)]
            history.append(a_session(project_id, f"{device['device']}{i}", MINUTE + i % 30, deeds, **device))
    found = sessions.odds_ratios(store, told(history), "view_item")
    assert (found["entered"], found["converted"], found["left_out"]) == (104, 44, 0)
    rows = {(row["dimension"], row["value"]): row for row in found["properties"]}
    phones = rows["device", "mobile"]
    assert (phones["entered"], phones["converted"]) == (40, 10)
    assert phones["ratio"] == pytest.approx(10.5 * 30.5 / (30.5 * 34.5))
    assert (phones["ratio"], *phones["interval"]) == rates.odds_ratio(10, 30, 34, 30)
    assert rows["device", "desktop"]["ratio"] == pytest.approx(30.5 * 30.5 / (30.5 * 14.5))
    assert ("device", "tablet") not in rows
    assert ("country", "DE") not in rows, "what everyone has sets nobody apart"
    assert found["properties"][0]["value"] in ("mobile", "iOS", "Safari", "Chrome"), "Chrome is what phones do not have"


def test_of_a_funnel_by_visitor_the_users_next_deed_is_found_on_any_device(store: Client, told: Told, project_id: int) -> None:
    history = [a_session(project_id, "phone", MINUTE, [(0, "view_item")], user_id="jane", **PHONE)]
    history += [a_session(project_id, "computer", MINUTE + 2, [(0, "search")], user_id="jane", **COMPUTER)]
    found = sessions.drop_off(store, told(history, count_by="visitor"), "view_item")
    assert [(row["event"], row["sessions"]) for row in found["next"]] == [("search", 1)]
