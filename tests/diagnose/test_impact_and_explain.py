"""The sum adds up by hand, its interval covers, and the session model finds the feature that moved."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.core.diagnosis import SessionTable
from funnelwatch.diagnose.explain import contributions
from funnelwatch.diagnose.impact import Loss, estimate


def loss(**changes: float) -> Loss:
    values = {"expected": 100.0, "expected_variance": 25.0, "observed": 40.0, "later_trials": 1000.0, "later_hits": 900.0,
              "minutes": 30.0, "order_mean": 1290.0, "order_sd": 400.0, "orders": 900} | changes  # fmt: skip
    return Loss(currency="INR", **values)


def test_lost_orders_times_order_value_is_the_loss_and_the_hour_is_twice_the_half_hour() -> None:
    impact = estimate(loss())
    assert impact.lost_orders == pytest.approx(60 * 900.5 / 1001)
    assert impact.lost_revenue == pytest.approx(Decimal(60 * 900.5 / 1001 * 1290), rel=Decimal("0.001"))
    assert impact.per_hour == pytest.approx(impact.lost_revenue * 2, rel=Decimal("0.001"))
    assert impact.interval[0] < impact.lost_revenue < impact.interval[1]


def test_without_an_order_value_the_money_is_unknown_but_the_orders_are_not() -> None:
    impact = estimate(loss(orders=0))
    assert impact.lost_revenue is None
    assert impact.interval is None
    assert impact.lost_orders > 0


@given(expected=st.floats(0, 1e5), observed=st.floats(0, 1e5))
def test_a_loss_is_never_negative(expected: float, observed: float) -> None:
    impact = estimate(loss(expected=expected, observed=observed))
    assert impact.lost_orders >= 0
    assert impact.interval[0] >= 0


def test_the_feature_that_changed_carries_the_change() -> None:
    random = np.random.default_rng(3)
    n = 1200
    since = np.arange(n) >= n // 2
    failed = random.random(n) < np.where(since, 0.6, 0.05)
    returning = random.random(n) < 0.4
    converted = random.random(n) < np.where(failed, 0.1, 0.8)
    table = SessionTable({"payment_failed": failed.astype(float), "returning": returning.astype(float)}, converted, since)
    lines = contributions(table)
    assert lines[0].feature == "payment_failed"
    assert lines[0].points < -0.25
    assert all(abs(line.points) < 0.05 for line in lines[1:])


def test_too_few_sessions_give_no_account() -> None:
    few = SessionTable({"x": np.zeros(20)}, np.arange(20) % 2 == 0, np.arange(20) > 10)
    assert contributions(few) == ()
