"""Two periods and two cohorts beside one another: as many conversions are still to come on either side."""

import random
from collections.abc import Iterable

import pytest

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.core.stats import rates
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import comparison, events
from funnelwatch.store.queries.span import Span
from tests.rollup.histories import a_session

#: Midnight in UTC.
MINUTE = 1_793_232_000 // 60


def a_shop(store: Client, project_id: int, sessions: Iterable[tuple[int, str, int | None]]) -> FunnelDef:
    """Of sessions (minute, device, minutes until something is put in the cart, None for never)."""
    made = []
    for number, (minute, device, wait) in enumerate(sessions):
        deeds = [(0, "view_item")] if wait is None else [(0, "view_item"), (wait * 60, "add_to_cart")]
        made += a_session(project_id, f"v{number}", MINUTE + minute, deeds, device=device)
    events.insert(store, made, f"comparison-{project_id}")
    funnel = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>add_to_cart"))
    roll_up(store, funnel, "", MINUTE, MINUTE + 300)
    return funnel


def span(funnel: FunnelDef, start: int, end: int, as_of: int) -> Span:
    return Span(funnel, MINUTE + start, MINUTE + end, MINUTE + as_of)


def test_an_hour_that_is_young_is_set_against_the_hour_before_as_that_was_when_young(store: Client, project_id: int) -> None:
    funnel = a_shop(store, project_id, [(minute, "mobile", 40) for minute in range(120)])
    before, after = span(funnel, 0, 60, 120), span(funnel, 60, 120, 120)
    found = comparison.compared(store, before, after)
    (row,) = found["steps"]
    assert [(row[side]["entered"], row[side]["converted"]) for side in ("before", "after")] == [(60, 21), (60, 21)]
    assert row["difference"] == 0
    assert found["before"] == {"from": MINUTE, "to": MINUTE + 60, "as_of": MINUTE + 60}
    assert comparison.movers(store, before, after)["movers"] == []


def test_of_periods_of_different_length_only_what_had_time_to_convert_counts(store: Client, project_id: int) -> None:
    funnel = a_shop(store, project_id, [(minute, "mobile", 40) for minute in range(160)])
    found = comparison.compared(store, span(funnel, 0, 120, 160), span(funnel, 60, 160, 160))
    assert [found[side]["to"] - MINUTE for side in ("before", "after")] == [100, 100]
    (row,) = found["steps"]
    assert [(row[side]["entered"], row[side]["converted"]) for side in ("before", "after")] == [(100, 100), (40, 40)]


def test_two_cohorts_of_one_period_differ_by_their_rates_with_newcombes_interval(store: Client, project_id: int) -> None:
    phones = [(minute, "mobile", 1 if minute < 48 else None) for minute in range(80)]
    computers = [(minute, "desktop", 1 if minute < 56 else None) for minute in range(70)]
    period = span(a_shop(store, project_id, phones + computers), 0, 80, 280)
    (row,) = comparison.compared(store, period, period, Cohort.of({"device": "mobile"}), Cohort.of({"device": "desktop"}))["steps"]
    assert [(row[side]["entered"], row[side]["converted"]) for side in ("before", "after")] == [(80, 48), (70, 56)]
    assert (row["step"], row["difference"]) == ("view_item", pytest.approx(0.2))
    assert row["interval"] == pytest.approx((0.0524, 0.3339), abs=6e-5)  # Newcombe 1998, 56/70 against 48/80


def test_the_cohort_that_broke_moves_by_the_conversions_it_lost(store: Client, project_id: int) -> None:
    hours = [(0, "mobile", 30), (0, "desktop", 30), (60, "mobile", 6), (60, "desktop", 30)]
    funnel = a_shop(store, project_id, [(start + i, device, 1 if i < hits else None) for start, device, hits in hours for i in range(60)])
    found = comparison.movers(store, span(funnel, 0, 60, 200), span(funnel, 60, 120, 200))["movers"]
    told = {Cohort.from_json(row["cohort"]).label(): row for row in found}
    assert "mobile" in told
    assert "desktop" not in told
    row = told["mobile"]
    assert (row["step"], row["difference"], row["conversions"]) == ("view_item", pytest.approx(-0.4), pytest.approx(-24))
    assert row["interval"] == rates.difference(30, 60, 6, 60)[1:]
    assert (told["everyone"]["difference"], told["everyone"]["conversions"]) == (pytest.approx(-0.2), pytest.approx(-24))


def test_what_differs_by_chance_in_one_of_many_cohorts_is_no_mover(store: Client, project_id: int) -> None:
    dice = random.Random(4)
    hits = {(start, number): sum(dice.random() < 0.5 for _ in range(60)) for start in (0, 60) for number in range(40)}
    sessions = [(start + i, f"device{number}", 1 if i < count else None) for (start, number), count in hits.items() for i in range(60)]
    funnel = a_shop(store, project_id, sessions)
    intervals = [rates.difference(hits[0, number], 60, hits[60, number], 60)[1:] for number in range(40)]
    assert [interval for interval in intervals if interval[0] > 0 or interval[1] < 0], "by themselves some would be"
    assert comparison.movers(store, span(funnel, 0, 60, 200), span(funnel, 60, 120, 200))["movers"] == []


def test_a_cohort_of_few_sessions_is_no_mover(store: Client, project_id: int) -> None:
    funnel = a_shop(store, project_id, [(minute, "mobile", 1 if minute < 60 else None) for minute in range(40, 80)])
    assert comparison.movers(store, span(funnel, 0, 60, 200), span(funnel, 60, 120, 200))["movers"] == []
    assert comparison.movers(store, span(funnel, 0, 60, 200), span(funnel, 60, 120, 200), least_entered=20)["movers"] != []
