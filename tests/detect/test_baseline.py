"""What is learned as normal from hourly history."""

import numpy as np
import pytest

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import SeriesHistory, SeriesKey
from funnelwatch.detect.baseline import Baseline, fit
from funnelwatch.detect.delays import arrival_curve, arrival_curves, completeness, settling_minutes
from funnelwatch.detect.expect import by_minute, expect, rates_at
from funnelwatch.detect.season import WEEK, knots
from funnelwatch.simulate.counts import StepWorld, delay_pmf, watch

DAY = 1440


def _history(rates: np.ndarray, per_hour: float, hours: int, seed: int = 0, wobble: float = 0.0) -> SeriesHistory:  # type: ignore[type-arg]
    """Conversions of everyone and one cohort per rate row (S - 1, hours)."""
    rng = np.random.default_rng(seed)
    rates = np.clip(rates * (1 + wobble * np.repeat(rng.standard_normal(hours // 24 + 1), 24)[:hours]), 0, 1)
    trials = rng.poisson(per_hour, rates.shape).astype(float)
    hits = rng.binomial(trials.astype(int), rates).astype(float)
    trials, hits = (np.vstack([values.sum(axis=0), values]) for values in (trials, hits))
    keys = tuple(
        SeriesKey("conversion", "a", "b", Cohort() if row == 0 else Cohort.of({"x": str(row)})) for row in range(len(trials))
    )
    delays = np.zeros((len(keys), 5))
    delays[:, 0] = 1000.0
    return SeriesHistory(keys, np.arange(hours), trials, hits, hits, delays, np.ones(trials.shape, bool), np.zeros(3))


def test_a_flat_rate_gets_no_season_and_a_daily_pattern_is_found() -> None:
    flat = fit(_history(np.full((1, 28 * 24), 0.5), 500, 28 * 24))
    assert np.ptp(flat.rate[0]) / flat.rate[0].mean() < 0.01
    daily = 0.5 + 0.1 * np.sin(2 * np.pi * np.arange(28 * 24) / 24)
    learned = fit(_history(daily[None], 500, 28 * 24))
    assert np.abs(learned.rate[0] - daily[:168]).max() < 0.015


def test_a_cohort_with_forty_sessions_a_day_leans_on_its_parent() -> None:
    baseline = fit(_history(np.full((20, 14 * 24), 0.4), 40 / 24, 14 * 24))
    assert np.abs(baseline.rate[1:].mean(axis=1) - 0.4).max() < 0.02


def test_hours_not_to_be_learned_from_change_nothing() -> None:
    clean = _history(np.full((1, 14 * 24), 0.5), 200, 14 * 24)
    clean.learn[:, 100:130] = False
    before = fit(clean)
    clean.hits[:, 100:130] = 0
    clean.converted[:, 100:130] = 0
    assert np.array_equal(before.rate, fit(clean).rate)
    assert np.array_equal(before.daily, fit(clean).daily)


def test_a_level_that_wobbles_from_day_to_day_is_told_from_counting_noise() -> None:
    rates = np.full((1, 28 * 24), 0.5)
    assert fit(_history(rates, 1000, 28 * 24)).daily[0] == pytest.approx(0.0106, abs=0.001)
    assert fit(_history(rates, 1000, 28 * 24, wobble=0.05)).daily[0] == pytest.approx(0.05, rel=0.5)


def test_a_series_unseen_at_the_fit_is_judged_by_its_nearest_ancestor() -> None:
    baseline = fit(_history(np.full((2, 14 * 24), 0.5), 100, 14 * 24))
    new = SeriesKey("conversion", "a", "b", Cohort.of({"x": "1", "y": "new"}))
    stranger = SeriesKey("conversion", "b", "c", Cohort())
    volume = SeriesKey("volume", "a", "", Cohort())
    assert baseline.rows((new, stranger, volume)).tolist() == [1, -1, -1]


def test_a_leaf_too_small_to_say_anything_abstains() -> None:
    baseline = fit(_history(np.full((1, 14 * 24), 0.05), 1.0, 14 * 24))
    assert not baseline.usable.any()


def test_a_stored_baseline_comes_back_the_same() -> None:
    baseline = fit(watch(StepWorld((20.0, 1.0), (0.6, 0.3)), 8 * DAY, 1).history(8 * DAY, late=(90, 8, 2)))
    loaded = Baseline.loads(baseline.dumps())
    assert loaded.keys == baseline.keys
    assert np.allclose(loaded.rate, baseline.rate, rtol=1e-6)
    assert np.array_equal(loaded.pmf, baseline.pmf)
    with pytest.raises(ValueError, match="not a packed"):
        Baseline.loads(b"something else")


def test_an_empty_history_makes_a_baseline_that_judges_nothing() -> None:
    nothing = SeriesHistory((), np.arange(0), *(np.zeros((0, 0)) for _ in range(4)), np.zeros((0, 0), bool), np.zeros(0))
    baseline = fit(nothing)
    assert baseline.rows((SeriesKey("conversion", "a", "b", Cohort()),)).tolist() == [-1]


def test_delays_are_learned_and_shared_by_cohorts_alike() -> None:
    watched = watch(StepWorld((50.0, 50.0), (0.5, 0.5), median_delay=4), 4 * DAY, 2)
    baseline = fit(watched.history(4 * DAY))
    assert len(set(baseline.family.tolist())) == 1
    assert np.abs(baseline.pmf[baseline.family[0]] - delay_pmf(4, 60)).max() < 0.01
    watched.counts.delays[1] = np.roll(watched.counts.delays[1], 10)
    assert len(set(fit(watched.history(4 * DAY)).family.tolist())) == 3


def test_the_expectation_of_a_long_span_is_that_of_the_tick_where_all_has_arrived() -> None:
    watched = watch(StepWorld((50.0, 5.0), (0.5, 0.3), median_delay=4), 5 * DAY, 2)
    baseline, window = fit(watched.history(4 * DAY)), watched.window(5 * DAY - 1)
    ticks, known = expect(baseline, window), np.ones(len(window.minutes))
    for row, key in enumerate(window.keys):
        found = by_minute(baseline, key, window, known, known)
        assert found is not None
        expected, variance = found
        assert expected == pytest.approx(ticks.expected[row])
        assert variance[-1] == pytest.approx(baseline.phi[row] * expected[-1] * (1 - ticks.bounded[row, 0]))


def test_a_source_has_an_arrival_curve_of_its_own_where_it_differs_beyond_chance() -> None:
    sources = ("app", "search", "rare", "new")
    keys = tuple(SeriesKey("volume", "a", "", Cohort.of({"source": source, "os": "iOS"})) for source in sources)
    keys += (SeriesKey("volume", "a", "", Cohort.of({"os": "iOS"})),)
    late_by = {"app": np.array([500.0, 0, 500]), "search": np.array([7500.0, 500, 0]), "rare": np.array([3.0, 1, 1])}
    curves, row = arrival_curves(keys, np.array([8000.0, 500, 500]), late_by)
    assert row.tolist() == [1, 0, 0, 0, 0]  # the search's lies 5.6 % off, of which 1.8 may be chance
    assert curves == pytest.approx(np.array([[8 / 9, 8.5 / 9, 1], [0.5, 0.5, 1]]))


def test_the_arrival_curve_tells_what_share_of_a_minute_is_known() -> None:
    curve = arrival_curve(np.array([80.0, 15.0, 5.0, 0.0]))
    assert completeness(curve, np.array([-1, 0, 1, 2, 9])).tolist() == pytest.approx([0, 0.8, 0.95, 1, 1])
    assert settling_minutes(curve) == 2
    assert settling_minutes(arrival_curve(np.zeros(4))) == 0


def test_a_level_that_changed_for_good_is_followed_within_a_week() -> None:
    rates = np.where(np.arange(28 * 24) < 21 * 24, 0.5, 0.4)[None]
    baseline = fit(_history(rates, 500, 28 * 24))
    assert np.abs(baseline.rate.mean(axis=1) - 0.4).max() < 0.025


def test_a_few_odd_days_do_not_widen_the_limits() -> None:
    rates = np.full((1, 28 * 24), 0.5)
    rates[:, 10 * 24 : 12 * 24] = 0.2
    assert fit(_history(rates, 1000, 28 * 24)).daily[0] < 0.06


@pytest.mark.parametrize("width", [2.0, 5.0])
def test_a_peak_of_the_day_is_expected_as_high_as_it_is(width: float) -> None:
    hours = np.arange(WEEK)
    away = np.abs((hours % 24 - 20 + 12) % 24 - 12)
    rate = (1 + 20 * np.exp(-(away**2) / (2 * width**2)))[None, :]
    by_minute = rates_at(knots(rate), np.arange(WEEK * 60))
    assert by_minute.reshape(WEEK, 60).mean(axis=1) == pytest.approx(rate[0], rel=0.02)


def test_a_shop_that_opens_at_the_full_hour_is_not_expected_to_sell_before() -> None:
    rate = np.where(np.isin(np.arange(WEEK) % 24, (20, 21)), 6.0, 0.05)[None, :]
    by_minute = rates_at(knots(rate), np.arange(WEEK * 60))[0].reshape(7, 24, 60)
    assert by_minute.min() > 0
    assert by_minute[:, 20:22].mean() == pytest.approx(6.0, rel=0.1)
