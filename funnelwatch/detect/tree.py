"""The cohort tree over the watched series: who leans on whom."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import SeriesKey


def ancestors(key: SeriesKey) -> Iterable[SeriesKey]:
    """The same series of wider cohorts, nearest first: one entry dropped, then two, down to everyone."""
    entries = key.cohort.entries
    for kept in range(len(entries) - 1, -1, -1):
        for subset in combinations(entries, kept):
            yield replace(key, cohort=Cohort(subset))


def nearest_ancestor(key: SeriesKey, known: Mapping[SeriesKey, int], size: NDArray[np.float64]) -> int:
    """Index of the nearest known ancestor, the smallest (most alike) where several are equally near; -1 without one."""
    best, depth = -1, -1
    for candidate in ancestors(key):
        if best >= 0 and len(candidate.cohort.entries) < depth:
            break
        index = known.get(candidate, -1)
        if index >= 0 and (best < 0 or size[index] < size[best]):
            best, depth = index, len(candidate.cohort.entries)
    return best


def parents(keys: tuple[SeriesKey, ...], size: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of each series' parent among `keys`, -1 for roots. (S,). `size` (S,): trials, to break ties."""
    known = {key: index for index, key in enumerate(keys)}
    return np.array([nearest_ancestor(key, known, size) for key in keys], dtype=np.int64).reshape(len(keys))


def groups(keys: tuple[SeriesKey, ...]) -> NDArray[np.int64]:
    """A number per series, equal where metric, steps and error class are. (S,)"""
    numbers: dict[tuple[str, ...], int] = {}
    return np.array(
        [numbers.setdefault((k.metric, k.step_from, k.step_to, k.error), len(numbers)) for k in keys], dtype=np.int64
    ).reshape(len(keys))
