"""The numbers that pages draw (`web/payloads.py` has their shapes), taken from the window the tick judged: one source, one number."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.series import Floats, SeriesKey, SeriesWindow, positions
from funnelwatch.core.signals import Anomaly
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.expect import WINDOWS, expect

#: Points of the chart are sums over this many minutes: a minute of a mid-sized cohort is mostly noise.
ROLLING = 5
#: Minutes shown before the onset.
LEAD = 150
#: Fewer trials than this in a rolling sum make no rate worth drawing.
MIN_TRIALS = 5.0
Z95 = 1.96
#: Of `Expectation.bounded` the window nearest below ROLLING: trials that nearly all convert vary less than a count of their size.
BOUND = WINDOWS.index(4)

Counts = tuple[Floats, Floats, Floats, Floats]  # trials due, hits, expected, variance


def incident_chart(anomaly: Anomaly, cohort: Cohort, window: SeriesWindow, baseline: Baseline, order_value: float) -> dict[str, Any]:
    """An `IncidentChart` of the anomaly's metric for `cohort`, everyone else and the whole store.

    `window` must hold the series of `cohort` and of everyone (rows without a baseline are left out). `order_value` in the
    project's currency turns missing conversions into the loss curve; 0 leaves the curve in orders.
    """
    first = max(int(window.minutes[0]), anomaly.onset - LEAD)
    shown = window.minutes >= first
    mine = _counts(replace(anomaly.key, cohort=cohort), window, baseline)
    store = _counts(replace(anomaly.key, cohort=EVERYONE), window, baseline)
    if mine is None:
        mine, cohort = _counts(anomaly.key, window, baseline), anomaly.key.cohort
    if mine is None:
        return {}
    most = 1.0 if anomaly.key.metric == "conversion" else np.inf
    series = {"cohort": {"name": cohort.label() if cohort.entries else "Whole store", **_band(mine, shown, most)}}
    share = 1.0
    since = window.minutes >= anomaly.onset
    if cohort.entries and store is not None:
        others: Counts = tuple(np.maximum(all_ - part, 0.0) for all_, part in zip(store, mine, strict=True))  # type: ignore[assignment]
        series["others"] = {"name": "Everyone else", **_band(others, shown, most)}
        series["store"] = {"name": "Whole store", **_band(store, shown, most)}
        share = float(mine[0][since].sum() / max(store[0][since].sum(), 1.0))
    return {
        "at": _seconds(int(window.minutes[-1]) + 1),
        "rolling_minutes": ROLLING,
        "worse": "down" if anomaly.missing >= 0 else "up",
        "x": [_seconds(int(minute)) for minute in window.minutes[shown]],
        "series": series,
        "sessions": float(mine[0][since].sum()),
        "share": share,
        "loss": _loss(window.minutes[since], mine[2][since] - mine[1][since], order_value),
    }


def overview_step(key: SeriesKey, window: SeriesWindow, baseline: Baseline, minutes: int) -> dict[str, Any]:
    """The `OverviewStep` of one pair over the whole store, without its worst cohort."""
    counts = _counts(key, window, baseline)
    empty: dict[str, Any] = {"y": [], "expected": [], "lo": [], "hi": []}
    step: dict[str, Any] = {
        "step_from": key.step_from, "step_to": key.step_to, "collected": counts is not None, "per_hour": None, "rate": None,
        "expected": None, "lo": None, "hi": None, "spark": empty, "worst": None,
    }  # fmt: skip
    if counts is None:
        return step
    band = _band(counts, window.minutes > window.minutes[-1] - minutes, most=1.0)
    step["spark"] = band
    step["per_hour"] = float(window.trials[window.keys.index(key)][-60:].sum())
    step |= {"rate": band["y"][-1], "expected": band["expected"][-1], "lo": band["lo"][-1], "hi": band["hi"][-1]}
    return step


def sigmas(keys: list[SeriesKey], window: SeriesWindow, baseline: Baseline, minutes: int) -> list[float | None]:
    """Standard deviations of the last `minutes` minutes from expectation, None where fewer than 5 hits were due."""
    found: list[float | None] = []
    for counts in counts_of(keys, window, baseline):
        if counts is None or counts[2][-minutes:].sum() < MIN_TRIALS:
            found.append(None)
            continue
        _, hits, expected, variance = (array[-minutes:].sum() for array in counts)
        found.append(float((hits - expected) / np.sqrt(max(variance, 1e-9))))
    return found


def _counts(key: SeriesKey, window: SeriesWindow, baseline: Baseline) -> Counts | None:
    return counts_of([key], window, baseline)[0]


def counts_of(keys: Sequence[SeriesKey], window: SeriesWindow, baseline: Baseline) -> list[Counts | None]:
    """The counts of several series at once: looking thousands of keys up for each of them took seconds a tick."""
    row_of = positions(window.keys)
    found = [key for key in keys if key in row_of]
    if not found:
        return [None] * len(keys)
    rows = [row_of[key] for key in found]
    seen = expect(baseline, SeriesWindow(tuple(found), window.minutes, window.trials[rows], window.hits[rows]))
    phi = baseline.phi[baseline.rows(tuple(found))]
    made: dict[SeriesKey, Counts] = {
        key: (seen.due_trials[i], seen.hits[i], seen.expected[i], seen.expected[i] * float(phi[i] * (1.0 - seen.bounded[i, BOUND])))
        for i, key in enumerate(found)
        if not np.isnan(seen.expected[i]).all()
    }
    return [made.get(key) for key in keys]


def _band(counts: Counts, shown: NDArray[np.bool_], most: float = np.inf) -> dict[str, list[float | None]]:
    """Rolling rates with the range that holds 19 of 20 points while nothing is wrong; no rate is above `most`."""
    trials, hits, expected, variance = (_rolling(array)[shown] for array in counts)
    known = trials >= MIN_TRIALS
    n = np.maximum(trials, 1e-9)
    half = Z95 * np.sqrt(np.maximum(variance, 0.0)) / n
    return {
        "y": _plain(hits / n, known),
        "expected": _plain(expected / n, known),
        "lo": _plain(np.maximum(expected / n - half, 0.0), known),
        "hi": _plain(np.minimum(expected / n + half, most), known),
    }


def _rolling(array: Floats) -> Floats:
    return np.convolve(np.nan_to_num(array), np.ones(ROLLING))[: len(array)]


def _plain(values: Floats, known: NDArray[np.bool_]) -> list[float | None]:
    return [round(float(value), 5) if ok else None for value, ok in zip(values, known, strict=True)]


def _loss(minutes: NDArray[np.int64], missing: Floats, order_value: float) -> dict[str, Any]:
    unit = "money" if order_value else "orders"
    added = np.maximum(np.cumsum(missing), 0.0) * (order_value or 1.0)
    return {"unit": unit, "x": [_seconds(int(minute) + 1) for minute in minutes], "lost": [round(float(v), 2) for v in added]}


def _seconds(minute: int) -> int:
    return minute * 60
