"""The coverage meter: of orders the browser did not report it still knows the browser, by the visit before."""

from typing import Any

import pytest

from funnelwatch.core.events import Event
from funnelwatch.store.client import Client
from funnelwatch.store.queries import coverage, events

START = 1_793_100_000_000
HOUR = 3_600_000
END = START + 24 * HOUR


def a_visit(project_id: int, number: int, seen: bool, browser: str, at: int = START + 2 * HOUR, **known: str) -> list[Event]:
    """A page view with where it came from, one with consent, and an order a server confirms, of which it knows `known`."""
    who = {"visitor_id": f"v{number}", "user_id": f"u{number}", "session_id": f"s{number}"}
    said = {"browser": browser, "consent": "granted" if number % 2 else "denied"}
    made = [
        Event(project_id=project_id, message_id=f"{number}-view", name="view_item", ts=at - 20 * 60_000, received_at=at, source="google" if browser == "Safari" else "newsletter", **who, **said),
        Event(project_id=project_id, message_id=f"{number}-pay", name="page_view", ts=at - 60_000, received_at=at, source="paypal.com", **who, **said),
        Event(project_id=project_id, message_id=f"{number}-order", name="purchase", ts=at, received_at=at, channel="server", order_id=f"o{number}", **known),
    ]  # fmt: skip
    if seen:
        made.append(Event(project_id=project_id, message_id=f"{number}-sdk", name="purchase", ts=at + 5_000, received_at=at, order_id=f"o{number}", **who, **said))
    return made


def metered(store: Client, project_id: int, made: list[Event], start: int = START, end: int = END) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(dimension, value) -> server-side orders, those the browser reported, those only the browser reported."""
    events.insert(store, made, f"coverage-{project_id}")
    return read(coverage.meter(store, project_id, start, end))


def read(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {(row["dimension"], row["value"]): (row["server"], row["both"], row["browser_only"]) for row in rows}


@pytest.mark.parametrize("known", ["visitor_id", "user_id", "session_id"])
def test_orders_safari_lost_count_against_safari_by_whatever_the_server_knows_of_the_buyer(store: Client, project_id: int, known: str) -> None:
    lost = [e for n in range(5) for e in a_visit(project_id, n, False, "Safari", **{known: f"{known[0]}{n}"})]
    found = [e for n in range(5, 10) for e in a_visit(project_id, n, True, "Chrome", **{known: f"{known[0]}{n}"})]
    assert metered(store, project_id, lost + found) == {
        ("", ""): (10, 5, 0),
        ("browser", "Chrome"): (5, 5, 0), ("browser", "Safari"): (5, 0, 0),
        ("consent", "denied"): (5, 2, 0), ("consent", "granted"): (5, 3, 0),
        ("source", "google"): (5, 0, 0), ("source", "newsletter"): (5, 5, 0),
    }  # fmt: skip


def test_the_share_has_the_interval_of_its_orders(store: Client, project_id: int) -> None:
    events.insert(store, [e for n in range(10) for e in a_visit(project_id, n, n > 0, "Chrome", visitor_id=f"v{n}")], f"share-{project_id}")
    everyone = coverage.meter(store, project_id, START, END)[0]
    assert everyone["coverage"] == 0.9
    assert everyone["interval"] == pytest.approx((0.5958, 0.9821), abs=1e-3)


def test_a_twin_just_outside_the_time_asked_for_is_no_loss(store: Client, project_id: int) -> None:
    """The server's word is the order's time: the first lies before the start, its browser's after; the last the other way round at the end."""
    first, last = (
        a_visit(project_id, number, True, "Chrome", at, visitor_id=f"v{number}") for number, at in ((1, START - 2_000), (2, END - 2_000))
    )
    assert metered(store, project_id, first + last)["browser", "Chrome"] == (1, 1, 0)
    assert read(coverage.meter(store, project_id, START - HOUR, START))["browser", "Chrome"] == (1, 1, 0)
    assert coverage.meter(store, project_id, END, END + HOUR) == []


def test_what_came_after_the_order_or_long_before_says_nothing_of_it(store: Client, project_id: int) -> None:
    at = START + 2 * HOUR
    around = [
        Event(project_id=project_id, message_id=name, name="page_view", ts=ts, received_at=ts, visitor_id="v", browser=name)
        for name, ts in (("Firefox", at - 25 * HOUR), ("Edge", at + HOUR))
    ]
    order = Event(project_id=project_id, message_id="o", name="purchase", ts=at, received_at=at, channel="server", order_id="o", visitor_id="v")
    assert metered(store, project_id, [*around, order])["browser", ""] == (1, 0, 0)


def test_strangers_with_the_same_session_id_are_not_mixed_up_where_the_visitor_is_known(store: Client, project_id: int) -> None:
    at = START + 2 * HOUR
    stranger = Event(project_id=project_id, message_id="x", name="page_view", ts=at - 1_000, received_at=at, visitor_id="other", session_id="s1", browser="Edge")
    assert metered(store, project_id, [*a_visit(project_id, 1, False, "Safari", visitor_id="v1", session_id="s1"), stranger])["browser", "Safari"] == (1, 0, 0)


def test_an_order_only_the_browser_reported_and_one_nobody_can_be_found_for_are_kept_apart(store: Client, project_id: int) -> None:
    only = [e for e in a_visit(project_id, 1, True, "Chrome") if e.channel != "server"]
    nobodys = a_visit(project_id, 2, False, "Safari")
    found = metered(store, project_id, only + nobodys)
    assert (found["", ""], found["browser", "Chrome"], found["browser", ""]) == ((1, 0, 1), (0, 0, 1), (1, 0, 0))
