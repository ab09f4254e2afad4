"""Every detector against every fault and every edge series, through the contract a third party would use."""

import numpy as np
import pytest

from funnelwatch.core.series import Floats
from funnelwatch.detect.detectors import DETECTORS, Scores, Tick, changepoint, load, prophet_band
from funnelwatch.detect.expect import LONGEST, WINDOWS
from funnelwatch.detect.ledger import HOURS
from funnelwatch.simulate.counts import Fault, StepWorld, watch

MINUTES = 300
ALARM = np.log(1e-5)

FAULTS = {"drop 20 %": 0.8, "drop 50 %": 0.5, "all lost": 0.0, "twice as many": 2.0, "errors": 20.0}
EDGES = {
    "constant": np.full(MINUTES, 20.0),
    "all zero": np.zeros(MINUTES),
    "one a day": np.where(np.arange(MINUTES) == 150, 1.0, 0.0),
    "gaps": np.where(np.arange(MINUTES) // 30 % 2 == 0, 20.0, 0.0),
}


def _run(name: str, hits: Floats, expected: Floats) -> list[Scores]:
    """Scores of one series minute by minute; nothing known of hours past."""
    detector = load(name)
    state, scores = detector.fresh(1), []
    padded = [np.concatenate([np.zeros(LONGEST), values])[None] for values in (hits, expected)]
    for minute in range(len(hits)):
        part = slice(minute + 1, minute + 1 + LONGEST)
        tick = Tick(
            minute=minute,
            hits=padded[0][:, part],
            expected=padded[1][:, part],
            bounded=np.zeros((1, len(WINDOWS))),
            past_hits=np.zeros((1, len(HOURS))),
            past_expected=np.zeros((1, len(HOURS))),
            excess=np.zeros((1, len(WINDOWS))),
            phi=np.ones(1),
            hourly2=np.zeros(1),
            daily2=np.zeros(1),
            margin=np.zeros(1),
        )
        before = {field: array.copy() for field, array in state.items()}
        following, result = detector.step(state, tick)
        assert all(np.array_equal(before[field], state[field]) for field in before), "a step must not change the state it was given"
        state = following
        scores.append(result)
    return scores


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_sees_each_fault_in_its_direction_and_nothing_before(name: str, fault: str) -> None:
    rng = np.random.default_rng(1)
    expected = np.full(MINUTES, 0.2 if fault == "errors" else 60.0)
    hits = rng.poisson(expected * np.where(np.arange(MINUTES) < 150, 1.0, FAULTS[fault])).astype(float)
    scores = _run(name, hits, expected)
    log_p = np.array([score.log_p[0] for score in scores])
    assert log_p[:150].min() > ALARM
    first = int(np.argmax(log_p[150:] <= ALARM)) + 150
    assert log_p[first] <= ALARM
    assert first - 150 <= 20
    assert scores[first].direction[0] == (1 if FAULTS[fault] > 1 else -1)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_is_silent_on_each_edge_series(name: str, edge: str) -> None:
    expected = EDGES[edge]
    for score in _run(name, expected.copy(), expected):
        assert np.isfinite(score.log_p).all()
        assert score.log_p[0] > ALARM
        assert score.log_p[0] <= 0


def test_an_unknown_detector_is_an_error() -> None:
    with pytest.raises(KeyError):
        load("nonesuch")


@pytest.mark.parametrize("ratio", [0.5, 1.6])
def test_the_changepoint_is_dated_with_an_interval(ratio: float) -> None:
    rng = np.random.default_rng(2)
    minutes, expected = np.arange(1000, 1240), np.full(240, 20.0)
    hits = rng.poisson(expected * np.where(minutes < 1200, 1.0, ratio)).astype(float)
    change = changepoint.latest(minutes, hits, expected, 1.0)
    assert change is not None
    assert abs(change.minute - 1200) <= 3
    assert change.low <= 1200 <= change.high
    signal = changepoint.signal(minutes, hits, expected, 1.0)
    assert signal is not None
    assert signal.direction == ("down" if ratio < 1 else "up")
    assert signal.p_value < 1e-6


@pytest.mark.parametrize("edge", EDGES)
def test_no_changepoint_in_a_series_without_one(edge: str) -> None:
    assert changepoint.latest(np.arange(MINUTES), EDGES[edge].copy(), EDGES[edge], 1.0) is None


def test_the_forecast_band_holds_a_quiet_hour_and_not_a_fallen_one() -> None:
    day = 1440
    watched = watch(StepWorld((50.0,), (0.6,), faults=(Fault(7 * day + 300, 8 * day, 0.7),)), 8 * day, 3)
    band = prophet_band.fit(watched.history(7 * day), 0)
    assert band is not None
    band = prophet_band.loads(prophet_band.dumps([band]))[band.key]
    quiet, fallen = watched.window(7 * day + 290), watched.window(7 * day + 400)
    before = prophet_band.signal(band, 7 * day + 290, quiet.hits[0], quiet.trials[0])
    after = prophet_band.signal(band, 7 * day + 400, fallen.hits[0], fallen.trials[0])
    assert before is not None
    assert after is not None
    assert before.p_value > 0.01
    assert after.p_value < 1e-6
    assert after.direction == "down"
    assert prophet_band.signal(band, 7 * day + 60 * 60, quiet.hits[0], quiet.trials[0]) is None


def test_a_series_too_thin_for_a_forecast_gets_none() -> None:
    assert prophet_band.fit(watch(StepWorld((0.05,), (0.5,)), 5 * 1440, 1).history(5 * 1440), 0) is None
