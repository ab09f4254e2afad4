"""A fault hits those it names, when it says, as hard as it says, and leaves everyone else exactly as they were."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.core.clock import from_ms
from funnelwatch.simulate import SCENARIOS
from funnelwatch.simulate.faults import KINDS, ActiveFault, Fault
from funnelwatch.simulate.shop import STEPS

FLOODS = [kind for kind, effect in KINDS.items() if effect.place == "flood"]
SCOPES = {
    "payment_failure": {"os": "iOS", "browser": "Safari", "campaign": "ig_sale"},
    "slow_payment": {"payment_provider": "razorpay"},
    "checkout_errors": {"app_version": "5.18.2"},
    "coupon_failure": {"coupon": "IGSALE20"},
    "stockout": {"sku": "NL-1000"},
    "broken_page": {"browser": "Chrome"},
    "silent_loss": {"country": "IN", "region": "MH"},
    "slow_script": {"landing_page": "/"},
    "price_error": {"category": "kurtas"},
    "volume_loss": {"source": "google"},
    "tracking_loss": {"browser": "Chrome"},
    "late_data": {"variant": "checkout_layout:one_page"},
}


def in_window(fault, times):
    start, end = (from_ms(ms).isoformat()[:19] for ms in (fault.start_ms, fault.end_ms))
    return [time for time in times if start <= time[:19] <= end]


def trait(session, dimension):
    """The values of a dimension that a session's messages show."""
    contexts = [message["context"] for message in session if "sessionId" in message["context"]]
    properties = [message.get("properties", {}) for message in session]
    items = [item for one in properties for item in one.get("items", [])]
    agent = contexts[0]["userAgent"]
    return {
        "os": {"iOS"} if "iPhone" in agent else set(),
        "browser": browsers(agent),
        "campaign": {context.get("campaign", {}).get("name") for context in contexts},
        "source": {context["campaign"]["source"] for context in contexts},
        "country": {context["location"]["country"] for context in contexts},
        "region": {context["location"].get("region") for context in contexts},
        "app_version": {context["app"]["version"] for context in contexts},
        "variant": {f"{name}:{value}" for context in contexts for name, value in context["experiments"].items()},
        "payment_provider": {one.get("payment_provider") for one in properties},
        "coupon": {one.get("coupon") for one in properties},
        "sku": {item["item_id"] for item in items},
        "category": {item["item_category"] for item in items},
        "landing_page": {m["context"]["page"]["path"] for m in session if m["messageId"].endswith("-land")},
    }[dimension]


def browsers(agent):
    if "CriOS" in agent or ("Chrome" in agent and "Edg" not in agent and "SamsungBrowser" not in agent):
        return {"Chrome"}
    return {"Safari"} if "Version/" in agent else set()


@pytest.mark.parametrize("kind", SCOPES)
def test_a_fault_changes_only_sessions_of_its_scope_that_live_in_its_time(play_fault, kind, play, by_session):
    size = {"price_error": 0.1, "late_data": 20.0}.get(kind, 0.7)
    simulation, messages = play_fault(Fault(kind, start=30, minutes=45, size=size, scope=SCOPES[kind], factor=3.0))
    _, quiet_messages = play("quiet")
    fault = simulation.faults[0]
    until = simulation.until.isoformat()[:19]
    faulty, quiet = by_session(messages), by_session(m for m in quiet_messages if m["receivedAt"][:19] < until)
    changed = [name for name in quiet | faulty if quiet.get(name) != faulty.get(name)]
    assert len(changed) > 20
    starts = from_ms(fault.start_ms).isoformat()
    for name in changed:
        both = quiet.get(name, []) + faulty.get(name, [])
        assert all(value in trait(both, dimension) for dimension, value in SCOPES[kind].items())
        ends = sorted(message["timestamp"] for message in both)
        assert in_window(fault, ends) or ends[0] < starts < ends[-1]


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_only_adds_sessions_and_only_in_its_time(play_fault, kind, play, by_session):
    spec = next(fault for fault in SCENARIOS["mix-shift"].faults if fault.kind == kind)
    simulation, messages = play_fault(replace(spec, start=30, minutes=45))
    _, quiet_messages = play("quiet")
    fault = simulation.faults[0]
    faulty, quiet = by_session(messages), by_session(quiet_messages)
    extra = {name: session for name, session in faulty.items() if name not in quiet}
    assert len(extra) > 500
    for session in extra.values():
        first = min(message["timestamp"] for message in session)
        assert in_window(fault, [first])
    shared = (m for m in messages if m["messageId"].split("-")[0] in quiet)
    until = simulation.until.isoformat()[:19]
    assert [m for m in quiet_messages if m["receivedAt"][:19] < until] == list(shared)


def test_bots_of_a_flood_look_at_products_and_never_put_one_into_a_cart(play_fault, play):
    spec = next(fault for fault in SCENARIOS["mix-shift"].faults if fault.kind == "bot_flood")
    _, messages = play_fault(replace(spec, start=30, minutes=45))
    _, quiet = play("quiet")
    known = {message["messageId"] for message in quiet}
    extra = Counter(message.get("event") for message in messages if message["messageId"] not in known)
    assert extra["view_item"] > 500
    assert extra["add_to_cart"] == 0


def conversions(messages, by_session, fault, step, belongs):
    """(entered, went on) of the sessions that enter `step` in the fault's window, by the browser's own messages."""
    first, second = step.split("->")
    entered = went_on = 0
    for session in by_session(messages).values():
        mine = [message for message in session if message.get("channel") != "server"]
        entries = [m["timestamp"] for m in mine if m.get("event") == first]
        if entries and in_window(fault, [min(entries)]) and belongs(session):
            entered += 1
            went_on += any(m.get("event") == second for m in mine)
    return entered, went_on


@pytest.mark.parametrize(
    "kind", ["payment_failure", "checkout_errors", "stockout", "broken_page", "silent_loss", "tracking_loss"]
)
def test_the_step_loses_the_share_that_the_truth_says(play_fault, kind, play, by_session):
    simulation, messages = play_fault(Fault(kind, 30, 60, 0.6, {"os": "iOS"}))
    _, quiet = play("quiet")
    fault, truth = simulation.faults[0], simulation.truth()["incidents"][0]

    def belongs(session):
        return "iOS" in trait(session, "os")

    entered, went_on = conversions(messages, by_session, fault, truth["step"], belongs)
    entered_before, went_on_before = conversions(quiet, by_session, fault, truth["step"], belongs)
    baseline = went_on_before / entered_before
    expected = baseline * (1 + truth["effect"])
    sigma = (expected * (1 - expected) / entered) ** 0.5
    assert entered > 500
    assert abs(went_on / entered - expected) < 4 * sigma + 0.01  # sessions on the window's edges are hit in part


def test_the_case_study_has_ten_attempts_a_minute_and_a_gap_of_sixty_per_cent(play, by_session):
    simulation, messages = play("case-study")
    fault, truth = simulation.faults[0], simulation.truth()["incidents"][0]

    def belongs(session):
        return all(value in trait(session, dimension) for dimension, value in truth["cohort"].items())

    entered, went_on = conversions(messages, by_session, fault, truth["step"], belongs)
    minutes = (fault.end_ms - fault.start_ms) / 60_000
    assert entered / minutes >= 10
    assert 0.30 < went_on / entered < 0.41
    codes = Counter(m["properties"]["code"] for m in messages if m.get("event") == "payment_failed")
    assert codes.most_common(1)[0][0] == "gateway_unreachable"


def test_orders_go_on_at_the_server_when_the_browser_s_purchases_vanish(play):
    _, messages = play("tracking-loss")
    _, quiet = play("quiet")
    orders = [
        {m["properties"]["order_id"] for m in played if m.get("event") == "purchase" and m.get("channel") == "server"}
        for played in (messages, quiet)
    ]
    assert orders[0] == orders[1]
    browser = {m["properties"]["order_id"] for m in messages if m.get("event") == "purchase" and "channel" not in m}
    assert 0.05 < len(orders[0] - browser) / len(orders[0]) < 0.3


def test_late_data_loses_nothing(play_fault, play):
    _, messages = play_fault(Fault("late_data", 30, 20, size=15.0))
    _, quiet = play("quiet")
    assert {m["messageId"] for m in messages} == {
        m["messageId"] for m in quiet if m["receivedAt"][:19] < "2026-10-04T14:00:00"
    }
    lags = [
        datetime.fromisoformat(m["receivedAt"]) - datetime.fromisoformat(m["timestamp"])
        for m in messages
        if "2026-10-04T12:35" < m["timestamp"] < "2026-10-04T12:45" and m.get("channel") != "server"
    ]
    assert min(lags) > timedelta(minutes=15)


def test_a_misprice_shows_in_items_and_orders(play_fault):
    _, messages = play_fault(Fault("price_error", 30, 60, 0.1, {"sku": "NL-1000"}))
    prices = {
        item["price"] for m in messages for item in m.get("properties", {}).get("items", []) if item["item_id"] == "NL-1000"
    }
    assert prices == {1290.0, 129.0}


def test_a_slowed_step_takes_that_much_longer(play_fault, by_session):
    simulation, messages = play_fault(Fault("slow_payment", 30, 60, 0.0, factor=4.0))
    waits = {True: [], False: []}
    for message in messages:
        if message.get("event") == "purchase" and "channel" not in message:
            waits[bool(in_window(simulation.faults[0], [message["timestamp"]]))].append(message["properties"]["duration_ms"])
    assert 3.0 < np.median(waits[True]) / np.median(waits[False]) < 4.5


@given(
    start=st.integers(0, 10_000), minutes=st.integers(1, 600), ramp=st.integers(0, 600),
    offsets=st.lists(st.integers(-10**8, 10**8), min_size=1),
)  # fmt: skip
def test_a_fault_grows_from_nothing_to_its_full_size_inside_its_window(start, minutes, ramp, offsets):
    fault = ActiveFault.after(1_790_000_000_000, Fault("silent_loss", start, minutes, 0.5, ramp=ramp))
    at = np.sort(np.array(offsets, dtype=np.int64) + fault.start_ms)
    growth = fault.growth(at)
    inside = (at >= fault.start_ms) & (at < fault.end_ms)
    assert (growth[~inside] == 0).all()
    assert ((growth >= 0) & (growth <= 1)).all()
    assert (np.diff(growth[inside]) >= 0).all()
    if not ramp:
        assert (growth[inside] == 1).all()


@pytest.mark.parametrize("step", [f"{a}->{b}" for a, b in zip(STEPS[1:], STEPS[2:], strict=False)])
def test_a_silent_loss_can_sit_at_any_step(play_fault, step, by_session):
    simulation, messages = play_fault(Fault("silent_loss", 60, 30, 1.0, step=step))
    entered, went_on = conversions(messages, by_session, simulation.faults[0], step, lambda _: True)
    assert entered > 100
    assert went_on / entered < 0.02  # those who entered in the last second before it began


def test_a_fault_of_unknown_kind_and_a_flood_without_a_source_are_refused(play_fault):
    with pytest.raises(ValueError, match="no fault 'gremlins'"):
        play_fault(Fault("gremlins", 0, 1, 0.1))
    with pytest.raises(ValueError, match="needs a channel"):
        play_fault(Fault("bot_flood", 0, 1, 0.1))


def test_every_kind_that_acts_on_sessions_is_tested_here():
    assert set(SCOPES) | set(FLOODS) == set(KINDS)
