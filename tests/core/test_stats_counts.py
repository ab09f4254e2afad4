"""Likelihoods, floors, budgets and the recovery test against values worked out elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from funnelwatch.core.stats import budget, counts, recovery, shrink


@given(st.floats(0, 500), st.floats(0.01, 500), st.floats(0, 0.95))
def test_a_divergence_is_never_negative_and_zero_at_the_expectation(hits: float, expected: float, share: float) -> None:
    nats = counts.binomial_divergence(np.array([hits, expected]), np.array([expected, expected]), np.array([share, share]))
    assert nats[0] >= 0
    assert nats[1] == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 60), st.floats(1, 60))
def test_the_poisson_divergence_bounds_the_tail_probability(hits: int, mean: float) -> None:
    nats = float(counts.poisson_divergence(np.array(float(hits)), np.array(mean)))
    tail = stats.poisson.cdf(hits, mean) if hits < mean else stats.poisson.sf(hits - 1, mean)
    assert tail <= math.exp(-nats) * (1 + 1e-9)


def test_a_binomial_count_tells_more_than_a_poisson_count_of_the_same_mean() -> None:
    hits, expected = np.array([492.0]), np.array([600.0])
    poisson = counts.poisson_divergence(hits, expected)[0]
    binomial = counts.binomial_divergence(hits, expected, np.array([0.6]))[0]
    assert binomial / poisson == pytest.approx(2.3, abs=0.2)


@pytest.mark.parametrize(
    ("per_minute", "rate", "drop", "minutes"),
    [(10, 0.02, 0.5, 206), (100, 0.3, 0.2, 10.8), (10, 0.6, 0.5, 5.7), (1, 0.6, 0.2, 209)],
)
def test_the_floor_lies_just_above_the_exact_optimum_for_one_stream(per_minute: float, rate: float, drop: float, minutes: float) -> None:
    # `minutes`: exact optimum for 30 days between false alarms, by a Markov chain; the floor is its asymptote, from above
    assert minutes <= counts.detection_floor(per_minute, rate, drop, 30 * 1440) <= 1.75 * minutes


@given(st.floats(0.5, 500), st.floats(0.02, 0.9), st.floats(5, 240))
def test_the_smallest_drop_is_seen_in_just_the_time_allowed(per_minute: float, rate: float, minutes: float) -> None:
    drop = counts.smallest_drop(per_minute, rate, minutes, 40_000)
    if drop is None:
        assert counts.detection_floor(per_minute, rate, 1.0, 40_000) > minutes
    else:
        assert counts.detection_floor(per_minute, rate, drop, 40_000) <= minutes * 1.01


def test_intervals_agree_with_known_ones() -> None:
    low, high = counts.rate_interval(30, 100)
    assert (low, high) == (pytest.approx(0.217, abs=0.002), pytest.approx(0.394, abs=0.002))
    assert counts.rate_interval(0, 0) == (0.0, 1.0)
    low, high = counts.count_interval(10)
    assert (low, high) == (pytest.approx(5.1, abs=0.1), pytest.approx(17.7, abs=0.2))
    wide = counts.count_interval(10, dispersion=4)
    assert wide[0] < low
    assert wide[1] > high


def test_a_cohort_of_few_trials_leans_on_its_parent_and_a_large_one_does_not() -> None:
    rates = shrink.shrink(np.array([4.0, 4000.0]), np.array([40.0, 40_000.0]), np.array([0.6, 0.6]), np.array([200.0, 200.0]))
    assert rates[0] == pytest.approx(0.517, abs=0.01)
    assert rates[1] == pytest.approx(0.102, abs=0.01)


@pytest.mark.parametrize(("spread", "low", "high"), [(0.0, 1500, 2000), (0.1, 15, 40)])
def test_the_worth_of_a_parent_follows_how_much_children_differ(spread: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    trials = np.full(200, 2000.0)
    rates = np.clip(0.5 + spread * rng.standard_normal(200), 0.02, 0.98)
    strength = shrink.prior_strength(rng.binomial(2000, rates).astype(float), trials, np.full(200, 0.5))
    assert low <= strength <= high


@given(st.integers(1, 30), st.integers(0, 500), st.floats(0.01, 5))
def test_all_streams_together_spend_the_budget(few: int, many: int, per_week: float) -> None:
    critical = np.arange(few + many) < few
    spent = (budget.MINUTES_A_WEEK / np.exp(budget.spend(critical, per_week))).sum()
    assert spent == pytest.approx(per_week)


def test_streams_that_are_off_together_need_less_each_but_weak_ones_alone_open_nothing() -> None:
    interval = np.full(100, 14.0)
    weak = np.full(100, -12.0)
    assert not budget.discoveries(weak, interval).any()
    with_one_strong = np.where(np.arange(100) == 0, -16.0, np.where(np.arange(100) < 10, -12.0, 0.0))
    named = budget.discoveries(with_one_strong, interval)
    assert named[:10].all()
    assert not named[10:].any()


def _minutes_to_recover(rate_back: float, per_minute: float, during: float, seed: int) -> int:
    rng = np.random.default_rng(seed)
    nats = np.zeros(1)
    for minute in range(2000):
        nats = recovery.evidence(nats, rng.poisson(per_minute * rate_back, 1).astype(float), np.array([per_minute]), during)
        if nats[0] >= recovery.RECOVERED_AT:
            return minute + 1
    return 2000


def test_recovery_takes_as_many_minutes_as_the_traffic_needs() -> None:
    fast = np.median([_minutes_to_recover(1.0, 100, 0.5, seed) for seed in range(20)])
    slow = np.median([_minutes_to_recover(1.0, 2, 0.5, seed) for seed in range(20)])
    assert fast <= 3
    assert 30 <= slow <= 150


def test_a_half_cure_is_no_recovery() -> None:
    assert all(_minutes_to_recover(0.65, 20, 0.5, seed) == 2000 for seed in range(5))


def test_the_recovery_of_a_stretch_is_judged_at_its_end() -> None:
    expected = np.full(120, 30.0)
    assert recovery.recovered(np.concatenate([np.full(60, 15.0), np.full(60, 30.0)]), expected, 0.5)
    assert not recovery.recovered(np.concatenate([np.full(60, 30.0), np.full(60, 15.0)]), expected, 0.5)
