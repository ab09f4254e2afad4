"""How long one tick of detection takes over 1,000 and 5,000 series of 240 minutes.

`python -m benchmarks.tick [--quick] [--json]`. Half of the series are conversions with delays, a quarter errors, a quarter volumes. The
reference is a matrix product of a fixed size in the same run: a busy machine slows both.
"""

import argparse
import resource
import time

import numpy as np

from benchmarks._report import report
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import Metric, SeriesHistory, SeriesKey, SeriesWindow
from funnelwatch.detect.baseline import Baseline, fit
from funnelwatch.detect.run import judge
from funnelwatch.simulate.counts import delay_pmf

HOURS, WIDTH = 14 * 24, 240
METRICS: tuple[tuple[Metric, str, float], ...] = (
    ("conversion", "purchase", 0.5), ("conversion", "add_shipping_info", 0.3), ("errors", "", 0.01), ("volume", "", 1.0),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for size in (1000,) if options.quick else (1000, 5000):
        seconds, fitting, state_bytes, opened = _measure(size, ticks=60)
        figures |= {f"tick_{size}_s": seconds, f"fit_{size}_s": fitting, f"state_{size}_bytes": state_bytes, f"opened_{size}": opened}
    figures["reference_s"] = _reference()
    figures["tick_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("tick", figures)


def _measure(size: int, ticks: int) -> tuple[float, float, int, int]:
    """Median seconds a tick, seconds of the fit, bytes of a stored state, series named (nothing is wrong, so it should be none)."""
    rng = np.random.default_rng(0)
    keys = tuple(
        SeriesKey(METRICS[row % 4][0], "add_payment_info", METRICS[row % 4][1], Cohort.of({"sku": str(row // 2)}), METRICS[row % 4][0])
        for row in range(size)
    )
    rate = np.array([METRICS[row % 4][2] for row in range(size)])
    arrivals = rng.lognormal(1.0, 1.0, size)
    start = time.perf_counter()
    baseline = fit(_history(keys, arrivals, rate, rng))
    fitting = time.perf_counter() - start
    trials, hits = _minutes(baseline, arrivals, rate, ticks, rng)
    state, took, opened = None, [], set()
    for tick in range(ticks):
        minute = HOURS * 60 + tick
        window = SeriesWindow(keys, np.arange(minute - WIDTH + 1, minute + 1), trials[:, tick : tick + WIDTH], hits[:, tick : tick + WIDTH])
        start = time.perf_counter()
        state, anomalies = judge(state, baseline, window, minute)
        took.append(time.perf_counter() - start)
        opened |= {anomaly.key for anomaly in anomalies}
    assert state is not None
    return float(np.median(took)), fitting, len(state.dumps()), len(opened)


def _history(keys: tuple[SeriesKey, ...], arrivals: np.ndarray, rate: np.ndarray, rng: np.random.Generator) -> SeriesHistory:
    shape = (len(keys), HOURS)
    trials = rng.poisson(arrivals[:, None] * 60, shape).astype(float)
    hits = rng.binomial(trials.astype(int), rate[:, None]).astype(float)
    delays = np.where(np.arange(len(keys))[:, None] % 4 < 2, delay_pmf(4, 60) * 1e4, 0.0)
    return SeriesHistory(keys, np.arange(HOURS), trials, hits, hits, delays, np.ones(shape, bool), np.array([95.0, 4.0, 1.0]))


def _minutes(baseline: Baseline, arrivals: np.ndarray, rate: np.ndarray, ticks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(S, W + ticks) trials and hits; every conversion comes after its own delay."""
    size, longest = len(arrivals), baseline.pmf.shape[1]
    trials = rng.poisson(arrivals[:, None], (size, WIDTH + ticks + longest)).astype(float)
    hits = np.zeros_like(trials)
    for row in range(size):
        sessions = rng.binomial(trials[row].astype(int), rate[row])
        at = np.repeat(np.arange(trials.shape[1]), sessions)
        if baseline.family[row]:
            at = at + rng.choice(longest, len(at), p=baseline.pmf[baseline.family[row]])
        hits[row] = np.bincount(at, minlength=trials.shape[1] + longest)[: trials.shape[1]]
    return trials[:, longest:], hits[:, longest:]


def _reference() -> float:
    matrix = np.random.default_rng(0).standard_normal((1000, 1000))
    took = []
    for _ in range(9):
        start = time.perf_counter()
        matrix @ matrix
        took.append(time.perf_counter() - start)
    return float(np.median(took))


if __name__ == "__main__":
    main()
