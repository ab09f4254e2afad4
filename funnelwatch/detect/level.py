"""The slow level: follows a rate over days, so that a trend of weeks is neither an alarm a day nor taken for noise."""

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats

#: A day counts half after three: a lasting change is normal in a week, an evening's dip is not.
HALF_LIFE_DAYS = 3.0
#: Expected hits a series' own level needs to be believed half: everyone's moves by about 7 %, a cohort's by 3 % beside its parent's.
WORTH, WORTH_BESIDE_PARENT = 200.0, 1000.0


def follow(hits: Floats, expected: Floats, learn: NDArray[np.bool_], parent: NDArray[np.int64], depth: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Level of each hour as known from the days before it, (S, H), and the level after the last, (S,), as factors on `expected`.

    A series follows its parent's level (`parent` (S,) rows, -1 none; `depth` (S,) entries of its cohort) and its own beyond that.
    """
    size, width = hits.shape
    days, ahead = width // 24, np.ones(hits.shape)
    now = np.ones(size)
    start = width - days * 24
    seen = np.where(learn, hits, 0.0)[:, start:].reshape(size, days, 24).sum(axis=2)
    due = np.where(learn, expected, 0.0)[:, start:]
    keep = 0.5 ** (1 / HALF_LIFE_DAYS)
    for generation in np.unique(depth):
        rows = np.flatnonzero(depth == generation)
        above = parent[rows]
        has = above >= 0
        inherited = np.where(has[:, None], ahead[above], 1.0)
        by_day = (due[rows] * inherited[:, start:]).reshape(len(rows), days, 24).sum(axis=2)
        worth = np.where(has, WORTH_BESIDE_PARENT, WORTH)
        # the fit leans on all of the history, so its mean is the first guess
        hits_past, due_past = np.zeros(len(rows)), np.zeros(len(rows))
        for day in range(days):
            own = (hits_past + worth) / (due_past + worth)
            part = slice(start + 24 * day, start + 24 * (day + 1))
            ahead[rows, part] = inherited[:, part] * own[:, None]
            hits_past, due_past = keep * (hits_past + seen[rows, day]), keep * (due_past + by_day[:, day])
        now[rows] = np.where(has, now[above], 1.0) * (hits_past + worth) / (due_past + worth)
    return ahead, now
