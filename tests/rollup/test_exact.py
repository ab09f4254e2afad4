"""Every number of the roll-up against the brute-force reference, on histories full of awkward cases."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.vocabulary import MULTI_DIMENSIONS
from funnelwatch.rollup import DEFAULT_SETS, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import SEPARATOR
from tests.rollup.histories import (
    FIRST,
    LAST,
    MINUTE,
    a_funnel,
    a_history,
    assert_same,
    expected,
    ids,
    insert_twice,
    stored,
)
from tests.rollup.reference import Point


@given(seed=st.integers(0, 2**32))
@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
          phases=[Phase.generate])  # fmt: skip
@pytest.mark.parametrize("count_by", ["session", "visitor"])
def test_sessions_arrivals_and_dimensions_equal_the_brute_force_reference(
    store: Client, count_by: Literal["session", "visitor"], seed: int
) -> None:
    funnel = replace(a_funnel(next(ids)), count_by=count_by)
    history = a_history(funnel.project_id, seed, visitors=100)
    insert_twice(store, history, seed)
    roll_up(store, funnel, "", FIRST, LAST)
    assert_same(stored(store, funnel), expected(store, history, funnel), history)


def cohort_counts(points: Counter[Point], dims: tuple[str, ...], key: Callable[[Point], Any]) -> Counter[Any]:
    """How often each (cohort value, key) occurs among points; a cohort with an unknown value is none."""
    found: Counter[Any] = Counter()
    for point, times in points.items():
        known = dict(point.dims) | ({point.multi: point.multi_value} if point.multi else {})
        if point.multi == next((name for name in dims if name in MULTI_DIMENSIONS), "") and all(known.get(name) for name in dims):
            found[SEPARATOR.join(known[name] for name in dims), key(point)] += times
    return found


@pytest.fixture(scope="module")
def points(store: Client, shop: tuple[FunnelDef, list[Event]]) -> Counter[Point]:
    """What the reference says of the shop."""
    funnel, history = shop
    return expected(store, history, funnel)


@pytest.mark.parametrize("dims", DEFAULT_SETS)
def test_arrivals_by_minute_lag_delay_and_cohort_equal_the_reference(
    store: Client, shop: tuple[FunnelDef, list[Event]], points: Counter[Point], dims: tuple[str, ...]
) -> None:
    funnel, _ = shop
    arrivals = Counter({p: n for p, n in points.items() if not p.name})
    want = cohort_counts(arrivals, dims, lambda p: (
        p.step, p.at // MINUTE, p.known_at // MINUTE - p.at // MINUTE,
        p.at // MINUTE - p.prev_at // MINUTE if p.step > 1 else 0,
    ))  # fmt: skip
    rows = store.query(
        "SELECT value, step, minute, lag, delay, entered FROM funnel_minute WHERE project_id = {p:UInt32} AND dims = {d:String}",
        {"p": funnel.project_id, "d": ",".join(dims)},
    )
    assert Counter({(row[0], row[1:5]): row[5] for row in rows}) == want


def test_events_orders_units_and_revenue_by_cohort_equal_the_reference(
    store: Client, shop: tuple[FunnelDef, list[Event]], points: Counter[Point]
) -> None:
    funnel, _ = shop
    moments = Counter({p: n for p, n in points.items() if p.name})
    for dims in ((), ("device",), ("os", "browser"), ("sku",), ("category",), ("variant",)):
        rows = store.query(
            """
            SELECT value, name, step, minute, error_code, currency, sum(events), sum(orders), sum(revenue), sum(units) FROM event_minute
            WHERE project_id = {p:UInt32} AND dims = {d:String} GROUP BY value, name, step, minute, error_code, currency
            """,
            {"p": funnel.project_id, "d": ",".join(dims)},
        )
        got = {row[:6]: row[6:] for row in rows}
        key = lambda p: (p.name, p.step, p.at // MINUTE, p.error_code, dict(p.dims)["currency"])  # noqa: E731
        counts = cohort_counts(moments, dims, key)
        assert {k: v[0] for k, v in got.items()} == {(value, *rest): n for (value, rest), n in counts.items()}
        orders = cohort_counts(Counter({p: 1 for p in moments if p.name == "purchase"}), dims, key)
        assert {k: v[1] for k, v in got.items() if v[1]} == {(value, *rest): n for (value, rest), n in orders.items()}
        revenue: Counter[Any] = Counter()
        units: Counter[Any] = Counter()
        for point, times in moments.items():
            for found in cohort_counts(Counter({point: 1}), dims, key):
                revenue[found] += times * point.value
                units[found] += times * point.units
        assert {k: v[3] for k, v in got.items() if v[3]} == {(v, *rest): n for (v, rest), n in units.items() if n}
        assert {k: v[2] for k, v in got.items() if v[2]} == {(v, *rest): n for (v, rest), n in revenue.items() if n}


def test_every_order_counts_once_however_often_it_was_sent(store: Client, shop: tuple[FunnelDef, list[Event]]) -> None:
    funnel, history = shop
    counted = [e for e in history if e.name == "purchase" and not e.bot and not e.test]
    want = len({e.order_id for e in counted if e.order_id}) + sum(not e.order_id for e in counted)
    got = store.query(
        "SELECT sum(orders) FROM event_minute WHERE project_id = {p:UInt32} AND dims = ''", {"p": funnel.project_id}
    ).scalar()
    assert got == want
