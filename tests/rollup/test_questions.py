"""What is answered about a funnel, against the brute-force reference over the raw events."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels
from funnelwatch.store.queries.span import Span
from tests.rollup.histories import FIRST, LAST, MINUTE, expected
from tests.rollup.reference import Point

EITHER = Cohort.of([("device", "mobile"), ("device", "desktop")])
IN_EITHER = Cohort.of([("os", "iOS"), ("os", "Android"), ("browser", "Safari"), ("browser", "Chrome")])
COHORTS = [EVERYONE, Cohort.of({"device": "mobile"}), EITHER, IN_EITHER]
MIDDLE = FIRST + 150


@pytest.fixture(scope="module")
def arrivals(store: Client, shop: tuple[FunnelDef, list[Event]]) -> list[Point]:
    """Every session's arrivals, as the reference counts them."""
    funnel, history = shop
    return [point for point in expected(store, history, funnel).elements() if not point.name and not point.multi]


@pytest.fixture
def span(shop: tuple[FunnelDef, list[Event]]) -> Span:
    return Span(shop[0], FIRST + 60, MIDDLE, LAST)


def those_in(cohort: Cohort, points: Iterable[Point]) -> list[Point]:
    """A point is of a cohort by what its session was at that moment."""
    return [point for point in points if all(dict(point.dims).get(name) in cohort.values(name) for name in cohort.dimensions)]


def counted(span: Span, points: Iterable[Point]) -> list[tuple[int, int | None]]:
    """(entered, converted) by step, of what was known."""
    known = [point for point in points if point.known_at // MINUTE <= span.as_of_minute]
    entered = Counter(p.step for p in known if span.from_minute <= p.at // MINUTE < span.to_minute)
    went_on = Counter(p.step - 1 for p in known if p.step > 1 and span.from_minute <= p.prev_at // MINUTE < span.to_minute)
    last = len(span.funnel.steps)
    return [(entered[step], None if step == last else went_on[step]) for step in range(1, last + 1)]


@pytest.mark.parametrize("cohort", COHORTS, ids=Cohort.label)
def test_a_cohort_holds_the_sessions_with_any_of_its_values(store: Client, span: Span, arrivals: list[Point], cohort: Cohort) -> None:
    want = counted(span, those_in(cohort, arrivals))
    assert [(step.entered, step.converted) for step in funnels.counts(store, span, cohort)] == want
    assert want[0][0] > 20


@pytest.mark.parametrize("cohort", COHORTS, ids=Cohort.label)
def test_a_series_adds_up_to_what_happened_in_each_hour(store: Client, span: Span, arrivals: list[Point], cohort: Cohort) -> None:
    mine = those_in(cohort, arrivals)
    entered = Counter(p.at // MINUTE // 60 * 60 for p in mine if p.step == 1 and span.from_minute <= p.at // MINUTE < span.to_minute)
    went_on = Counter(p.prev_at // MINUTE // 60 * 60 for p in mine if p.step == 2 and span.from_minute <= p.prev_at // MINUTE < span.to_minute)
    found = funnels.series(store, span, "view", cohort)
    assert [(row["minute"], row["entered"], row["converted"]) for row in found] == [(at, entered[at], went_on[at]) for at in sorted(entered | went_on)]


@pytest.mark.parametrize("cohort", COHORTS, ids=Cohort.label)
def test_time_to_convert_is_counted_in_minutes_from_step_to_step(store: Client, span: Span, arrivals: list[Point], cohort: Cohort) -> None:
    went_on = [p for p in those_in(cohort, arrivals) if p.step == 2 and span.from_minute <= p.prev_at // MINUTE < span.to_minute]
    waits = sorted(p.at // MINUTE - p.prev_at // MINUTE for p in went_on)
    found = funnels.time_to_convert(store, span, "cart", cohort)
    assert found["histogram"] == [[wait, count] for wait, count in sorted(Counter(waits).items())]
    assert found["count"] == len(waits) > 5
    assert [found["median"], found["p90"]] == np.quantile(waits, [0.5, 0.9], method="inverted_cdf").tolist()


@pytest.mark.parametrize("by", [("device",), ("os", "browser"), ("device", "browser")], ids="+".join)
def test_a_breakdown_has_each_group_as_the_reference_counts_it(store: Client, span: Span, arrivals: list[Point], by: tuple[str, ...]) -> None:
    groups = {Cohort.of((name, dict(p.dims)[name]) for name in by) for p in arrivals if all(dict(p.dims)[name] for name in by)}
    want = {group: counted(span, those_in(group, arrivals)) for group in groups}
    found = {Cohort.from_json(row["cohort"]): row["steps"] for row in funnels.report(store, span, by)["groups"]}
    assert {group: [(step["entered"], step["converted"]) for step in steps] for group, steps in found.items()} == {
        group: steps for group, steps in want.items() if group in found
    }
    assert all(not any(entered or hits for entered, hits in want[group]) for group in groups - found.keys())
    assert len(found) > 1


@pytest.mark.parametrize("name", ["sku", "category", "variant"])
def test_several_values_of_what_a_session_has_many_of_are_refused(store: Client, span: Span, name: str) -> None:
    for ask in (funnels.counts, lambda *asked: funnels.series(*asked[:2], "view", asked[2])):
        with pytest.raises(ValueError, match=f"several values of {name}"):
            ask(store, span, Cohort.of([(name, "red"), (name, "blue")]))
