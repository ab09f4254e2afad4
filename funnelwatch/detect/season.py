"""Patterns over the day and the week: how much of them is real is judged by whether one half of the history repeats the other."""

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats

DAY, WEEK = 24, 168
#: Relative spread of true patterns believed at least and at most; 0.3 % is below any limit that matters, a factor of e above any shop.
SPREAD = (0.003, 1.0)


def by_week(hours: NDArray[np.int64], values: Floats) -> Floats:
    """(S, weeks, 168) of (S, H): epoch hours laid out by hour of the week, zeros where there is no history. Hours consecutive."""
    if not len(hours):
        return np.zeros((len(values), 1, WEEK))
    front = int(hours[0]) % WEEK
    weeks = -(-(front + len(hours)) // WEEK)
    laid = np.zeros((len(values), weeks * WEEK))
    laid[:, front : front + len(hours)] = values
    return laid.reshape(len(values), weeks, WEEK)


def pattern(hits: Floats, expected: Floats, fold: int, smooth: bool = True) -> Floats:
    """How far each hour of the day (`fold` 24) or week (168) lies off `expected`, as factors (S, 168).

    `hits`, `expected`: (S, weeks, 168). Shrunk to 1 by what these series show in common; `smooth`: an hour's neighbours count too.
    """
    size = len(hits)
    seen, due = hits.reshape(size, -1, fold), expected.reshape(size, -1, fold)
    worth = 1 / _spread(seen, due) ** 2
    seen, due = seen.sum(axis=1), due.sum(axis=1)
    if smooth:
        seen, due = _smooth(seen), _smooth(due)
    return np.tile((seen + worth) / (due + worth), (1, WEEK // fold))


def knots(rate: Floats) -> Floats:
    """(S, 168) values at the hours' middles whose straight connections have the hourly means `rate`.

    Straight lines through the means themselves would cut every peak: an hour's mean is 6/8 of its own middle and 1/8 of each
    neighbour's, which is undone here (a circulant system, by Fourier). A valley may not be pressed below half its mean.
    """
    blurred = 0.75 + 0.25 * np.cos(2 * np.pi * np.arange(WEEK // 2 + 1) / WEEK)
    sharp = np.fft.irfft(np.fft.rfft(rate, axis=1) / blurred, WEEK, axis=1)
    return np.asarray(np.maximum(sharp, 0.5 * rate))


def _spread(seen: Floats, due: Floats) -> float:
    """Relative spread of the true pattern, from what two halves (odd and even days or weeks) have in common: noise they do not share."""
    one, other = seen[:, 0::2].sum(axis=1), seen[:, 1::2].sum(axis=1)
    due_one, due_other = due[:, 0::2].sum(axis=1), due[:, 1::2].sum(axis=1)
    level = np.maximum(due_one.sum(axis=1), 1e-9), np.maximum(due_other.sum(axis=1), 1e-9)
    # each half against its own level: a trend between the halves is no pattern
    off_one = one - due_one * (one.sum(axis=1) / level[0])[:, None]
    off_other = other - due_other * (other.sum(axis=1) / level[1])[:, None]
    shared = float((off_one * off_other).sum()) / max(float((due_one * due_other).sum()), 1e-9)
    return float(np.clip(np.sqrt(max(shared, 0.0)), *SPREAD))


def _smooth(cells: Floats) -> Floats:
    """Circular 1-2-1 over hours: an hour's pattern is its neighbours' too."""
    return np.asarray(0.5 * cells + 0.25 * (np.roll(cells, 1, axis=1) + np.roll(cells, -1, axis=1)))
