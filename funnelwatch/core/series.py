"""Series as arrays: what rollup tables give to detection, vectorised over cohorts.

S = series, W = minutes of the window (last column the newest closed minute), H = hours of history, D = delay bins (minutes).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort

Floats = NDArray[np.float64]
Metric = Literal["conversion", "errors", "volume", "revenue", "latency"]


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Names one series of one funnel.

    conversion: trials = arrivals at `step_from`, hits = arrivals at `step_to`.
    errors: trials = arrivals at `step_from`, hits = error events of class `error` (`payment_failed`, `exception`, ...).
    volume: trials unused (ones), hits = arrivals at `step_from`.
    """

    metric: Metric
    step_from: str
    step_to: str
    cohort: Cohort
    error: str = ""

    @property
    def step(self) -> str:
        """`from->to` as incidents carry it; one name where there is no second."""
        return f"{self.step_from}->{self.step_to}" if self.step_to else self.step_from


_positions: deque[tuple[tuple[SeriesKey, ...], Mapping[SeriesKey, int]]] = deque(maxlen=8)


def positions(keys: tuple[SeriesKey, ...]) -> Mapping[SeriesKey, int]:
    """The row of each key. Remembered for the last few tuples asked about: thousands of keys are looked up every minute."""
    for known, rows in list(_positions):
        if known is keys:
            return rows
    rows = {key: row for row, key in enumerate(keys)}
    _positions.append((keys, rows))
    return rows


@dataclass(frozen=True, slots=True)
class SeriesWindow:
    """The last W minutes of S series as known at the time of asking.

    `trials`, `hits`: (S, W) counts by minute of arrival. `minutes`: (W,) epoch minutes, consecutive.
    """

    keys: tuple[SeriesKey, ...]
    minutes: NDArray[np.int64]
    trials: Floats
    hits: Floats


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """History to learn a baseline from, by hour.

    `hours`: (H,) epoch hours, consecutive. `trials`, `hits`: (S, H); for conversions `hits` counts the arrivals at the next step
    by THEIR hour. `converted`: (S, H) trials of that hour that converted, by hour of the trial. `delays`: (S, D) counts of
    conversions by whole minutes from step to next step (all zero for metrics without delay). `learn`: (S, H) bool, False where
    the hour lies in a past incident or before collection began and must not be learned from.
    `late`: (L,) counts of arrivals by minutes between happening and being known (the arrival curve of the project);
    `late_by`: the same by traffic source.
    """

    keys: tuple[SeriesKey, ...]
    hours: NDArray[np.int64]
    trials: Floats
    hits: Floats
    converted: Floats
    delays: Floats
    learn: NDArray[np.bool_]
    late: Floats
    late_by: Mapping[str, Floats] = field(default_factory=dict)

    def part(self, rows: Sequence[int]) -> "SeriesHistory":
        """The same hours of some of the series."""
        columns = {name: getattr(self, name)[list(rows)] for name in ("trials", "hits", "converted", "delays", "learn")}
        return replace(self, keys=tuple(self.keys[row] for row in rows), **columns)
