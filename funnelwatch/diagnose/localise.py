"""Find the smallest set of cohort restrictions that explains a deficit (or surplus), under the count model.

A count-aware scan statistic (Kulldorff 1997): for each combination of dimension values the log-likelihood ratio of "inside is off
by its own factor, outside by another" against "all are off by one factor", deflated by the uncertainty of the baseline,
minus a description-length penalty for the combination. Hits and misses are both counted: where nine of ten convert it is the
misses that tell, and hits alone would be three times too deaf. Leaf baselines are shrunk to the overall rate, so that a
three-session cell with no order does not outshine a three-thousand-session one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.diagnosis import LeafTable

#: Restrictions in one answer. Deeper causes are rare and their leaves too thin to tell.
MAX_DEPTH = 3
#: Sessions' worth of overall rate added to each leaf's baseline; about the noise of a leaf seen for an hour.
PRIOR_TRIALS = 20.0
#: Least share of misses: where nearly all convert, a single miss is no news.
LEAST_MISSES = 0.05
#: Dimensions combined: of 16 the others add half a second and no cause.
AXES = 9
#: Nats a further value of one dimension must win: one value is what people name (0: F1 0.61 on RS, 6: 0.69).
WIDER_COST = 6.0
#: A cohort that explains this share of the deficit needs no sibling values.
ALL_EXPLAINED = 0.95
#: Share of the change that makes the flagged cohort the answer while counts are too few for a search.
MOSTLY = 0.6
#: ... and if its share of the shoppers is at most this part of its share of the change.
CONCENTRATED = 0.9
#: Siblings this many standard deviations off fall with the child, so the parent is the answer (3.0: 0.73 on RS, none: 0.58).
SIBLING_Z = 3.0
#: A value that this share of the shoppers have tells nobody where to look.
NEARLY_ALL = 0.97
#: Nats for a restriction as such, whatever its value: 1.5 names a cohort in 6 of 50 draws with nothing broken, 2.5 in 3.
CHOICE = 2.5
#: Of dimensions that say the same these are named last, for a hair's breadth of nats: people act on a campaign, not on its medium.
LAST_NAMED, HAIR = ("medium", "source", "device", "landing_page"), 0.05
#: Values examined per dimension, the largest deficits first.
MAX_VALUES = 30

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Located:
    """A cohort with the share of the whole deficit inside it, its rates and the score it won with."""

    cohort: Cohort
    explained: float
    expected: float
    observed: float
    trials: float
    score: float


@dataclass(frozen=True, slots=True)
class _Board:
    """Hits expected, their variance by chance and by the baseline's doubt, hits and trials observed: by leaf, or summed by cell."""

    expected: Floats
    chance: Floats
    doubt: Floats
    observed: Floats
    trials: Floats

    def cells(self, of: NDArray[np.int64], count: int) -> "_Board":
        """The sums by cell; `of` says which cell each leaf is in."""
        columns = (self.expected, self.chance, self.doubt, self.observed, self.trials)
        return _Board(*(np.bincount(of, column, count).astype(np.float64) for column in columns))

    def part(self, inside: NDArray[np.bool_]) -> "_Board":
        """Only those leaves."""
        return _Board(self.expected[inside], self.chance[inside], self.doubt[inside], self.observed[inside], self.trials[inside])

    def whole(self) -> "_Board":
        """All leaves as one cell."""
        return self.cells(np.zeros(len(self.trials), dtype=np.int64), 1)


def locate(
    table: LeafTable, direction: str = "down", flagged: Cohort = EVERYONE
) -> tuple[Located, tuple[Located, ...]]:
    """The cohort that best explains the change at a step, and the path to it from everyone.

    `direction` "down" looks for missing conversions, "up" for a surplus (error counts). Where no restriction beats its own
    penalty, `flagged` (the cohort in whose series the change was seen) stands if it holds most of the change and more than its share, else everyone.
    """
    board = _board(table)
    whole = _located(board, np.ones(len(board.observed), dtype=bool), EVERYONE, 0.0)
    sign = 1.0 if direction == "down" else -1.0
    candidates = list(_search(table, board, sign))
    if not candidates:
        seen = _located(board, table.mask(flagged), flagged, 0.0)
        apart = seen.trials <= CONCENTRATED * seen.explained * whole.trials  # else the others fell alike
        return (seen, (whole, seen)) if seen.explained >= MOSTLY and apart else (whole, (whole,))
    best = _widen(table, board, max(candidates, key=lambda located: located.score), sign)
    best = _simplify(table, board, best, sign)
    return best, _path(table, board, best)


def _board(table: LeafTable) -> _Board:
    overall = table.base_hits.sum() / max(table.base_trials.sum(), 1.0)
    pseudo = table.base_trials + PRIOR_TRIALS
    rate = (table.base_hits + PRIOR_TRIALS * overall) / pseudo
    variance = np.maximum(rate * np.maximum(1.0 - rate, LEAST_MISSES), 1e-9)
    return _Board(
        expected=table.trials * rate,
        chance=table.trials * variance,
        doubt=table.trials**2 * variance / pseudo,
        observed=table.hits,
        trials=table.trials,
    )


def _search(table: LeafTable, board: _Board, sign: float) -> Iterable[Located]:
    """Every combination up to MAX_DEPTH of values that are themselves short, over the AXES dimensions that tell most alone."""
    short = {axis: _short_values(table, board, axis, sign) for axis in range(len(table.dimensions))}
    kept = {axis: np.isin(table.values[:, axis], values) for axis, values in short.items() if values.size}
    single = {axis: list(_score_cuboid(table, board, (axis,), kept, sign)) for axis in kept}
    strength = {axis: max((one.score for one in found), default=float("-inf")) for axis, found in single.items()}
    axes = sorted(sorted(kept, key=lambda axis: -strength[axis])[:AXES])
    for axis in axes:
        yield from single[axis]
    for depth in range(2, MAX_DEPTH + 1):
        for chosen in combinations(axes, depth):
            yield from _score_cuboid(table, board, chosen, kept, sign)


def _short_values(table: LeafTable, board: _Board, axis: int, sign: float) -> NDArray[np.int64]:
    size = len(table.labels[axis])
    deficit = sign * (
        np.bincount(table.values[:, axis], board.expected, size) - np.bincount(table.values[:, axis], board.observed, size)
    )
    order = np.argsort(-deficit)[:MAX_VALUES]
    share = np.bincount(table.values[:, axis], board.trials, size) / max(float(board.trials.sum()), 1.0)
    named = np.array([bool(label) for label in table.labels[axis]]) & (share < NEARLY_ALL)
    kept: NDArray[np.int64] = order[(deficit[order] > 0) & named[order]]
    return kept


def _score_cuboid(
    table: LeafTable, board: _Board, axes: tuple[int, ...], kept: dict[int, NDArray[np.bool_]], sign: float
) -> Iterable[Located]:
    keep = np.all([kept[axis] for axis in axes], axis=0)
    if not keep.any():
        return
    sizes = [len(table.labels[axis]) for axis in axes]
    code = np.ravel_multi_index([table.values[keep, axis] for axis in axes], sizes)
    cells, inverse = np.unique(code, return_inverse=True)
    sums = board.part(keep).cells(inverse, len(cells))
    code_lengths = sum(_code_length(board, table, axis)[value] for axis, value in zip(axes, np.unravel_index(cells, sizes), strict=True))
    score = _ratio(sums, board, sign) - code_lengths
    for index in np.flatnonzero(score > 0):
        values = np.unravel_index(cells[index], sizes)
        cohort = Cohort.of(
            (table.dimensions[axis], table.labels[axis][int(value)]) for axis, value in zip(axes, values, strict=True)
        )
        n = max(float(sums.trials[index]), 1e-9)
        yield Located(
            cohort=cohort,
            explained=_explained(board, float(sums.expected[index] - sums.observed[index])),
            expected=float(sums.expected[index]) / n,
            observed=float(sums.observed[index]) / n,
            trials=float(sums.trials[index]),
            score=float(score[index]),
        )


def _code_length(board: _Board, table: LeafTable, axis: int) -> Floats:
    """Nats to name each value of a dimension: minus the log of its share (a value half the shoppers have is hardly a
    restriction), plus one for the choice of the dimension."""
    size = len(table.labels[axis])
    share = np.bincount(table.values[:, axis], board.trials, size) / max(float(board.trials.sum()), 1.0)
    last = HAIR if table.dimensions[axis] in LAST_NAMED else 0.0
    return np.asarray(CHOICE + last - np.log(np.maximum(share, 1e-6)))


def _ratio(inside: _Board, board: _Board, sign: float) -> Floats:
    """Log-likelihood ratio of own factors inside and outside against one common factor; zero where the inside is not the worse."""
    whole = board.whole()
    gain = _gain(inside.observed, inside.expected, whole.observed, whole.expected) + _gain(*_misses(inside), *_misses(whole))
    worse = sign * (whole.observed / np.maximum(whole.expected, 1e-9) * inside.expected - inside.observed) > 0
    inflation = 1.0 + inside.doubt / np.maximum(inside.chance, 1e-9)
    return np.where(worse, gain / inflation, 0.0)


def _misses(sums: _Board) -> tuple[Floats, Floats]:
    """Sessions that did not convert, observed and expected."""
    return np.maximum(sums.trials - sums.observed, 0.0), np.maximum(sums.trials - sums.expected, LEAST_MISSES * sums.trials)


def _gain(observed: Floats, expected: Floats, all_observed: Floats, all_expected: Floats) -> Floats:
    """Nats that a factor inside and another outside win over a common one, of Poisson counts."""
    outside = _nats(np.maximum(all_observed - observed, 0.0), np.maximum(all_expected - expected, 1e-9))
    return _nats(observed, expected) + outside - _nats(all_observed, all_expected)


def _nats(observed: Floats, expected: Floats) -> Floats:
    """Poisson log-likelihood of the best factor, up to terms that cancel: o ln(o/e)."""
    safe = np.maximum(observed, 1e-12)
    return np.where(observed > 0, observed * np.log(safe / np.maximum(expected, 1e-12)), 0.0)


def _located(board: _Board, inside: NDArray[np.bool_], cohort: Cohort, score: float) -> Located:
    expected, observed, trials = (float(array[inside].sum()) for array in (board.expected, board.observed, board.trials))
    n = max(trials, 1e-9)
    return Located(cohort, _explained(board, expected - observed), expected / n, observed / n, trials, score)


def _explained(board: _Board, deficit: float) -> float:
    """Share of the net deficit, at most 1: where the rest is better than expected the cohort explains all of it."""
    net = float((board.expected - board.observed).sum())
    if net * deficit <= 0:
        return 1.0 if deficit else 0.0
    return min(deficit / net, 1.0)


def _widen(table: LeafTable, board: _Board, best: Located, sign: float) -> Located:
    """Add sibling values (`iOS 16` or `iOS 17`) that fall in the same proportion, while that raises the score."""
    improved = True
    while improved and best.explained < ALL_EXPLAINED:
        improved = False
        for dimension in best.cohort.dimensions:
            axis = table.dimensions.index(dimension)
            for label in table.labels[axis]:
                if not label or label in best.cohort.values(dimension):
                    continue
                wider = _rescore(table, board, Cohort.of([*best.cohort.entries, (dimension, label)]), sign)
                if wider.score > best.score:
                    best, improved = wider, True
    return best


def _rescore(table: LeafTable, board: _Board, cohort: Cohort, sign: float) -> Located:
    inside = table.mask(cohort)
    length = 0.0
    for dimension, value in cohort.entries:
        axis = table.dimensions.index(dimension)
        length += float(_code_length(board, table, axis)[table.labels[axis].index(value)])
    repeated = len(cohort.entries) - len(cohort.dimensions)
    score = float(_ratio(board.part(inside).whole(), board, sign)[0]) - length - WIDER_COST * repeated
    return _located(board, inside, cohort, score)


def _simplify(table: LeafTable, board: _Board, best: Located, sign: float) -> Located:
    """Drop restrictions whose siblings are off too: the parent is named unless the child really differs from the rest of it."""
    dropped = True
    while dropped and len(best.cohort.dimensions) > 1:
        dropped = False
        inside = table.mask(best.cohort)
        for dimension in best.cohort.dimensions:
            parent = Cohort.of(entry for entry in best.cohort.entries if entry[0] != dimension)
            wider = table.mask(parent)
            if _shift(board, wider & ~inside, ~wider, sign) > SIBLING_Z:
                best, dropped = _rescore(table, board, parent, sign), True
                break
    return best


def _shift(board: _Board, rest: NDArray[np.bool_], outside: NDArray[np.bool_], sign: float) -> float:
    """Standard deviations by which `rest` is off in the bad direction, beyond the factor of `outside`."""
    due, due_outside = board.expected[rest].sum(), max(board.expected[outside].sum(), 1e-9)
    common = board.observed[outside].sum() / due_outside
    own, of_factor = (common * board.chance[part].sum() + common**2 * board.doubt[part].sum() for part in (rest, outside))
    variance = own + (due / due_outside) ** 2 * of_factor  # where most shoppers are hit, few are left to tell the factor by
    missing = sign * (common * due - board.observed[rest].sum())
    return float(missing / np.sqrt(max(variance, 1e-9)))


def _path(table: LeafTable, board: _Board, best: Located) -> tuple[Located, ...]:
    """From everyone to the cohort, adding at each stage the restriction that keeps most of the deficit."""
    path = [_located(board, np.ones(len(board.observed), dtype=bool), EVERYONE, 0.0)]
    taken: list[tuple[str, str]] = []
    remaining = {dimension: best.cohort.values(dimension) for dimension in best.cohort.dimensions}
    while remaining:
        options = {
            dimension: _located(
                board,
                table.mask(Cohort.of([*taken, *((dimension, value) for value in values)])),
                Cohort.of([*taken, *((dimension, value) for value in values)]),
                0.0,
            )
            for dimension, values in remaining.items()
        }
        dimension = min(options, key=lambda name: options[name].observed / max(options[name].expected, 1e-9))
        taken += [(dimension, value) for value in remaining.pop(dimension)]
        path.append(options[dimension])
    path[-1] = best
    return tuple(path)
