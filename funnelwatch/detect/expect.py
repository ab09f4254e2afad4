"""What should have arrived by now: earlier arrivals, times the rate, spread by the learned delay."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz

from funnelwatch.core.series import Floats, SeriesKey, SeriesWindow
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.delays import completeness
from funnelwatch.detect.season import WEEK, knots

#: Windows in minutes whose exact counting variance is worked out (dyadic, to an hour).
WINDOWS = (1, 2, 4, 8, 16, 32, 64)
LONGEST = max(WINDOWS)
#: Of a minute that has this share or less nobody knows how much it will have.
LEAST_KNOWN = 0.05
_LAST = (np.arange(LONGEST)[:, None] >= LONGEST - np.array(WINDOWS)).astype(float)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of S series over K minutes. `expected`: (S, K) hits due and known by now; `hits`: (S, K) hits seen.

    `due_trials`: (S, K) the trials those hits come from (expected / rate).
    `bounded`: (S, len(WINDOWS)) share by which trials bound the hits of the last w minutes; 0 = Poisson, the rate = binomial. A session
    converts once, so hits of a window vary less than a Poisson count: by the sum of n q^2 over the trials, q the chance that a trial of
    one minute converts within the window. Long windows tend to q = rate, short ones to 0.
    `completeness`: (S, K) share of each minute's events expected to be known by now; (1, K) where it is the same for all.
    """

    minutes: NDArray[np.int64]
    hits: Floats
    expected: Floats
    due_trials: Floats
    bounded: Floats
    completeness: Floats


@dataclass(frozen=True, slots=True)
class Expecter:
    """A baseline laid over a fixed list of U series sorted by delay family: the arrays a tick needs, made once."""

    rate: Floats  # (U, 168)
    pmf: Floats  # (F, D)
    spans: tuple[tuple[int, int, int], ...]  # (family, first row, end row)
    binomial: NDArray[np.bool_]  # (U,)
    volume: NDArray[np.bool_]  # (U,)
    arrival: Floats  # (A, L)
    late: NDArray[np.int64]  # (U,)

    def over(self, trials: Floats, hits: Floats, minutes: NDArray[np.int64], now: int, last: int) -> Expectation:
        """Expectation of the last `last` of the given minutes, as known at the end of minute `now`. Counts (U, W)."""
        last = min(last, len(minutes))
        reach = min(len(minutes), last + self.pmf.shape[1] - 1)
        known = completeness(self.arrival, now - minutes[-reach:])
        if len(known) > 1:
            known = known[self.late]
        rate = rates_at(self.rate, minutes[-reach:])
        due = self._whole(trials, known) * rate
        expected = np.empty((len(due), last))
        for family, first, end in self.spans:
            expected[first:end] = due[first:end] @ _delay_matrix(self.pmf[family].tobytes(), reach, last)
        expected *= known[:, -last:]
        bounded = self._bounded(due[:, -LONGEST - self.pmf.shape[1] :] * rate[:, -LONGEST - self.pmf.shape[1] :], expected)
        return Expectation(
            minutes=minutes[-last:],
            hits=hits[:, -last:],
            expected=expected,
            due_trials=expected / np.maximum(rate[:, -last:], 1e-12),
            bounded=bounded,
            completeness=known[:, -last:],
        )

    def _whole(self, trials: Floats, known: Floats) -> Floats:
        """Trials of the minutes `known` speaks of, made up for those still on their way; ones where the metric has none."""
        if not self.volume.any():
            return trials[:, -known.shape[1] :] / np.maximum(known, LEAST_KNOWN)
        return np.where(self.volume[:, None], 1.0, trials[:, -known.shape[1] :] / np.maximum(known, LEAST_KNOWN))

    def _bounded(self, squared: Floats, expected: Floats) -> Floats:
        """See Expectation.bounded. `squared`: trials times rate squared, of as many minutes as can convert in the longest window."""
        less = np.zeros((len(squared), len(WINDOWS)))
        for family, first, end in self.spans:
            less[first:end] = squared[first:end] @ _overlap_matrix(self.pmf[family].tobytes(), squared.shape[1])
        share = less / np.maximum(sums(expected), 1e-9)
        return np.where(self.binomial[:, None], np.clip(share, 0.0, 0.95), 0.0)

    def only(self, rows: NDArray[np.int64]) -> "Expecter":
        """The same for some rows (ascending)."""
        bounds = [(family, *np.searchsorted(rows, (first, end))) for family, first, end in self.spans]
        return replace(
            self,
            rate=self.rate[rows],
            spans=tuple((family, int(first), int(end)) for family, first, end in bounds if end > first),
            binomial=self.binomial[rows],
            volume=self.volume[rows],
            late=self.late[rows],
        )


def expecter(baseline: Baseline, rows: NDArray[np.int64]) -> tuple[Expecter, NDArray[np.int64]]:
    """The expecter over baseline `rows` and the order (U,) it wants its series in (sorted by delay family)."""
    order = np.argsort(baseline.family[rows], kind="stable")
    rows = rows[order]
    family = baseline.family[rows]
    starts = np.flatnonzero(np.diff(family, prepend=-1))
    ends = np.append(starts, len(rows))[1:]  # none where there are no rows
    metrics = [baseline.keys[row].metric for row in rows]
    binomial = np.array([metric == "conversion" for metric in metrics], bool)
    laid = Expecter(
        rate=np.where(binomial[:, None], np.minimum(knots(baseline.rate[rows]), 0.999), knots(baseline.rate[rows])),
        pmf=baseline.pmf,
        spans=tuple((int(family[first]), int(first), int(end)) for first, end in zip(starts, ends, strict=True)),
        binomial=binomial,
        volume=np.array([metric == "volume" for metric in metrics], bool),
        arrival=baseline.arrival,
        late=baseline.late[rows],
    )
    return laid, order


def expect(baseline: Baseline, window: SeriesWindow) -> Expectation:
    """Expectation of every minute of `window` as known at the end of its last. Unknown series expect NaN.

    Minutes nearer the window's start than the longest delay lack what came from before it.
    """
    rows = baseline.rows(window.keys)
    have = np.flatnonzero(rows >= 0)
    laid, order = expecter(baseline, rows[have])
    inner = laid.over(window.trials[have[order]], window.hits[have[order]], window.minutes, int(window.minutes[-1]), len(window.minutes))

    def spread(values: Floats) -> Floats:
        full = np.full((len(rows), values.shape[1]), np.nan)
        full[have[order]] = values
        return full

    known = np.broadcast_to(inner.completeness, inner.expected.shape)
    return Expectation(
        window.minutes, window.hits, spread(inner.expected), spread(inner.due_trials), spread(inner.bounded), spread(known)
    )


def by_minute(baseline: Baseline, key: SeriesKey, window: SeriesWindow, known_from: Floats, known_to: Floats) -> tuple[Floats, Floats] | None:
    """Mean and variance of one conversion series' hits in every minute, in a window of any length; None where nothing is learned.

    `known_from`, `known_to`: (W,) share of each minute's arrivals at its two steps expected to be known by now.
    """
    row = int(baseline.rows((key,))[0])
    if row < 0:
        return None
    pmf = baseline.pmf[baseline.family[row]]
    rate = rates_at(np.minimum(knots(baseline.rate[[row]]), 0.999), window.minutes)[0]
    trials = window.trials[window.keys.index(key)] / np.maximum(known_from, LEAST_KNOWN)
    expected = np.convolve(trials * rate, pmf)[: len(trials)] * known_to
    less = np.convolve(trials * rate**2, pmf**2)[: len(trials)] * known_to**2
    return expected, baseline.phi[row] * (expected - np.minimum(less, 0.95 * expected))


def sums(values: Floats) -> Floats:
    """(U, len(WINDOWS)) sums over the last w minutes of (U, K)."""
    values = values[:, -LONGEST:]
    return np.asarray(values @ _LAST[LONGEST - values.shape[1] :])


def rates_at(rate: Floats, minutes: NDArray[np.int64]) -> Floats:
    """(S, K) rates at epoch `minutes`, linear between those at the middles of the hours of the week (`season.knots`)."""
    position = (minutes - 30) / 60.0
    hour = np.floor(position).astype(np.int64)
    share = position - hour
    first = int(hour[0])
    columns = rate[:, np.arange(first, int(hour[-1]) + 2) % WEEK]
    blend = np.zeros((columns.shape[1], len(minutes)))
    index = np.arange(len(minutes))
    blend[hour - first, index] = 1 - share
    blend[hour - first + 1, index] += share
    return columns @ blend


@lru_cache(maxsize=512)
def _delay_matrix(pmf_bytes: bytes, reach: int, last: int) -> Floats:
    """(reach, last): column j collects what trials of each minute send to the j-th of the last minutes."""
    pmf = np.frombuffer(pmf_bytes)
    column = np.zeros(reach)
    column[: min(len(pmf), reach)] = pmf[:reach]
    return np.ascontiguousarray(toeplitz(column, np.zeros(reach)).T[:, -last:])


@lru_cache(maxsize=512)
def _overlap_matrix(pmf_bytes: bytes, reach: int) -> Floats:
    """(reach, len(WINDOWS)): squared chance, given that it converts, that a trial of each minute converts in the last w minutes."""
    reached = np.concatenate([[0.0], np.cumsum(np.frombuffer(pmf_bytes))])
    age = np.arange(reach - 1, -1, -1)

    def by(minutes: NDArray[np.int64]) -> Floats:
        return np.asarray(reached[np.clip(minutes + 1, 0, len(reached) - 1)])

    return np.stack([(by(age) - by(age - width)) ** 2 for width in WINDOWS], axis=1)
