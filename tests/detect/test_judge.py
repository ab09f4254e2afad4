"""One call a tick: what it finds, how fast, and what it leaves alone."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from funnelwatch import config
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import SeriesHistory, SeriesKey, SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.detect.baseline import fit
from funnelwatch.detect.run import DetectState, judge
from funnelwatch.simulate.counts import Fault, StepWorld, Watched, simulate, watch

DAY = 1440
LEARNED = 14 * DAY


def _ticks(watched: Watched, first: int, last: int, state: DetectState | None = None) -> Iterator[tuple[int, DetectState, list[Anomaly]]]:
    baseline = fit(watched.history(LEARNED))
    for minute in range(first, last):
        state, anomalies = judge(state, baseline, watched.window(minute), minute)
        yield minute, state, anomalies


def _first(watched: Watched, first: int, last: int) -> tuple[int, list[Anomaly]]:
    for minute, _, anomalies in _ticks(watched, first, last):
        if anomalies:
            return minute, anomalies
    return last, []


@pytest.mark.parametrize(
    ("per_minute", "rate", "drop", "floor"),
    [(100, 0.6, 0.18, 10.2), (10, 0.6, 0.5, 11.5), (10, 0.6, 1.0, 3), (1, 0.6, 0.5, 115), (30, 0.02, 0.5, 115)],
)
def test_a_drop_is_seen_about_as_fast_as_counts_allow(per_minute: float, rate: float, drop: float, floor: float) -> None:
    """Budget of one false alarm in 28 days for one stream; `floor` in minutes by Lorden for Poisson counts."""
    start, delays = LEARNED + 90, []
    for seed in range(3):
        world = StepWorld((per_minute,), (rate,), faults=(Fault(start, start + 600, 1 - drop),))
        with config.override(false_incidents_per_week=0.25):
            found, anomalies = _first(watch(world, start + 400, seed), LEARNED, start + 400)
        assert found >= start, "a false alarm before the fault"
        assert anomalies[0].effect < 0
        delays.append(found - start + 1)
    assert np.median(delays) <= 1.3 * floor + 2


def test_the_onset_is_dated_within_five_minutes_and_its_interval_holds_it() -> None:
    start = LEARNED + 90
    world = StepWorld((60.0,), (0.6,), faults=(Fault(start, start + 300, 0.4),))
    *_, (_, _, anomalies) = _ticks(watch(world, start + 60, 4), LEARNED, start + 30)
    (anomaly,) = anomalies
    assert abs(anomaly.onset - start) <= 5
    assert anomaly.onset_interval[0] <= start <= anomaly.onset_interval[1]
    assert anomaly.effect == pytest.approx(-0.6, abs=0.1)
    assert anomaly.interval[0] <= anomaly.observed <= anomaly.interval[1]
    assert anomaly.missing == pytest.approx((anomaly.expected - anomaly.observed) * anomaly.trials, rel=1e-6)
    assert anomaly.probability > 0.99


def test_a_drop_in_one_cohort_names_it_and_ends_when_it_is_over() -> None:
    start, end = LEARNED + 60, LEARNED + 180
    world = StepWorld((30.0, 20.0, 20.0), (0.6, 0.5, 0.6), faults=(Fault(start, end, 0.3, leaves=(1,)),))
    during, after = set(), []
    for minute, _, anomalies in _ticks(watch(world, end + 60, 5), LEARNED, end + 60):
        names = {anomaly.key.cohort for anomaly in anomalies}
        assert minute >= start or not names
        if start + 20 <= minute < end:
            during.add(frozenset(names))
        after = anomalies
    assert all(Cohort.of({"leaf": "1"}) in names for names in during)
    assert not any(Cohort.of({"leaf": leaf}) in names for names in during for leaf in ("0", "2"))
    assert after == []


def test_a_drop_stays_one_of_the_rate_through_a_night_in_which_nobody_comes() -> None:
    start, closed = LEARNED + 60, LEARNED + 120
    world = StepWorld((30.0, 20.0), (0.6, 0.5), faults=(Fault(start, start + 600, 0.3),))
    watched = watch(world, start + 420, 6)
    baseline = fit(watched.history(LEARNED))
    state, kinds = None, set()
    for minute in range(LEARNED, start + 420):
        window = watched.window(minute)
        empty = window.minutes >= closed
        counts = (np.where(empty, 0.0, array) for array in (window.trials, window.hits))
        state, anomalies = judge(state, baseline, SeriesWindow(window.keys, window.minutes, *counts), minute)
        kinds = {anomaly.kind for anomaly in anomalies if anomaly.key.metric == "conversion"}
    assert kinds == {"rate"}


@pytest.mark.parametrize(("wobble", "day_wobble"), [(0.0, 0.0), (0.02, 0.01), (0.05, 0.03)])
def test_a_quiet_shop_stays_quiet(wobble: float, day_wobble: float) -> None:
    """Twelve cohorts and everyone over a day after two weeks, with season and over-dispersion."""
    world = StepWorld((200.0,) * 4 + (20.0,) * 4 + (1.0,) * 4, (0.5,) * 12, swing=0.8, minute_wobble=wobble, day_wobble=day_wobble)
    opened = set()
    for _, _, anomalies in _ticks(watch(world, LEARNED + DAY, 6), LEARNED, LEARNED + DAY):
        opened |= {anomaly.key for anomaly in anomalies}
    assert not opened


def test_judging_a_minute_again_and_after_storing_gives_the_same() -> None:
    start = LEARNED + 30
    watched = watch(StepWorld((50.0, 20.0), (0.6, 0.5), faults=(Fault(start, start + 99, 0.2),)), start + 60, 7)
    baseline = fit(watched.history(LEARNED))
    state = None
    for minute in range(LEARNED, start + 20):
        state, once = judge(state, baseline, watched.window(minute), minute)
        state, again = judge(DetectState.loads(state.dumps()), baseline, watched.window(minute), minute)
        assert [(a.key, a.onset, round(a.missing, 6)) for a in once] == [(a.key, a.onset, round(a.missing, 6)) for a in again]
    assert once


def test_a_tick_missed_is_made_up_for() -> None:
    start = LEARNED + 60
    watched = watch(StepWorld((50.0,), (0.6,), faults=(Fault(start, start + 99, 0.2),)), start + 60, 8)
    baseline = fit(watched.history(LEARNED))
    states: list[DetectState | None] = [None, None]
    for minute in range(LEARNED, start + 10):
        states[0], every = judge(states[0], baseline, watched.window(minute), minute)
        if minute % 5 == 4:
            states[1], fifth = judge(states[1], baseline, watched.window(minute), minute)
    assert states[0] is not None
    assert states[1] is not None
    assert np.allclose(states[0].rows["ledger.running"], states[1].rows["ledger.running"])
    assert [a.onset for a in every] == [a.onset for a in fifth]


def test_late_events_are_no_drop() -> None:
    """A third of all events arrive one to three minutes late; the newest minutes look empty and are not."""
    late = (0.67, 0.2, 0.1, 0.03)
    watched = watch(StepWorld((100.0, 5.0), (0.6, 0.5)), LEARNED + DAY, 9)
    baseline = fit(watched.history(LEARNED, late))
    share = np.cumsum(late)[::-1]
    rng = np.random.default_rng(0)
    state = None
    for minute in range(LEARNED, LEARNED + 600):
        window = watched.window(minute)
        for counts in (window.trials, window.hits):
            leaves = rng.binomial(counts[1:, -4:].astype(int), share[None])
            counts[1:, -4:], counts[0, -4:] = leaves, leaves.sum(axis=0)
        state, anomalies = judge(state, baseline, window, minute)
        assert not anomalies


def test_a_source_half_of_whose_events_come_ten_minutes_late_has_no_drop_in_its_newest_minutes() -> None:
    by_source = watch(StepWorld((60.0, 40.0), (0.6, 0.5)), LEARNED + 240, 9)
    cohorts = [Cohort(), Cohort.of({"source": "search"}), Cohort.of({"source": "app"})]
    keys = tuple(SeriesKey("conversion", "pay", "purchase", cohort) for cohort in cohorts)
    keys += tuple(SeriesKey("volume", "pay", "", cohort) for cohort in cohorts)
    late, of_app = np.zeros(11), np.zeros(11)
    late[[0, 10]], of_app[[0, 10]] = (80e3, 20e3), (20e3, 20e3)
    history = _with_volumes(by_source.history(LEARNED), keys, late)
    own, shared = fit(replace(history, late_by={"app": of_app, "search": late - of_app})), fit(history)
    rng = np.random.default_rng(0)
    states: list[DetectState | None] = [None, None]
    off: list[set[SeriesKey]] = [set(), set()]
    for minute in range(LEARNED, LEARNED + 240):
        window = by_source.window(minute)
        for counts in (window.trials, window.hits):
            counts[2, -10:] = rng.binomial(counts[2, -10:].astype(int), 0.5)
            counts[0] = counts[1] + counts[2]
        trials, hits = np.vstack([window.trials, np.ones(window.trials.shape)]), np.vstack([window.hits, window.trials])
        for i, baseline in enumerate((own, shared)):
            states[i], anomalies = judge(states[i], baseline, SeriesWindow(keys, window.minutes, trials, hits), minute)
            off[i] |= {anomaly.key for anomaly in anomalies}
    assert off[0] == set()
    assert keys[5] in off[1], "with everyone's curve the app's volume looks like a drop"


def _with_volumes(history: SeriesHistory, keys: tuple[SeriesKey, ...], late: np.ndarray) -> SeriesHistory:  # type: ignore[type-arg]
    """Arrivals at the first step as volumes below the conversions."""
    nothing = np.zeros(history.trials.shape)
    return replace(
        history, keys=keys, trials=np.vstack([history.trials, nothing + 1]), hits=np.vstack([history.hits, history.trials]),
        converted=np.vstack([history.converted, nothing]), delays=np.vstack([history.delays, np.zeros(history.delays.shape)]),
        learn=np.vstack([history.learn, history.learn]), late=late,
    )  # fmt: skip


def test_a_stop_of_the_whole_stream_is_no_drop_of_a_rate() -> None:
    watched = watch(StepWorld((50.0, 20.0), (0.6, 0.5)), LEARNED + 300, 10)
    for counts in (watched.counts.trials, watched.counts.hits):
        counts[:, LEARNED + 60 : LEARNED + 120] = 0
    for _, _, anomalies in _ticks(watched, LEARNED, LEARNED + 200):
        assert not anomalies


def test_minutes_known_to_be_still_arriving_are_not_judged() -> None:
    watched = watch(StepWorld((50.0,), (0.6,)), LEARNED + 200, 11)
    baseline = fit(watched.history(LEARNED))
    state = None
    for minute in range(LEARNED, LEARNED + 120):
        window = watched.window(minute)
        if minute >= LEARNED + 60:
            window.hits[:, -(minute - LEARNED - 59) :] = 0
        state, anomalies = judge(state, baseline, window, minute, known_until=min(minute, LEARNED + 59))
        assert not anomalies
    assert state is not None
    assert state.settled == LEARNED + 59
    _, anomalies = judge(state, baseline, watched.window(minute), minute)
    assert not anomalies


def test_a_shift_of_mix_is_called_so() -> None:
    """Visitors of a badly converting cohort multiply: everyone's rate falls, no cohort's does."""
    start = LEARNED + 60
    calm = watch(StepWorld((40.0, 10.0), (0.6, 0.2)), start + 120, 12)
    crowd = simulate(StepWorld((0.0, 50.0), (0.6, 0.2)), 120, 13)
    calm.counts.trials[:, start:] += crowd.trials
    calm.counts.hits[:, start:] += crowd.hits
    kinds = {anomaly.kind for _, _, anomalies in _ticks(calm, LEARNED, start + 100) for anomaly in anomalies}
    assert kinds == {"mix"}


def test_a_window_of_another_minute_is_refused() -> None:
    watched = watch(StepWorld((5.0,), (0.6,)), LEARNED + 10, 13)
    with pytest.raises(ValueError, match="must end with minute"):
        judge(None, fit(watched.history(LEARNED)), watched.window(LEARNED), LEARNED + 1)
