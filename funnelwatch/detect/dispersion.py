"""How much noisier than counting noise a series is, and for how long its deviations last.

Three parts: `phi` (clustering: events come in bursts), `hourly` and `daily` (relative wobble of the level that lasts about an hour or
a day). A binomial chart calibrated to one false alarm in 30 days gives 1,349 at a wobble of 5 %, so this is fitted, never assumed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A deviation beyond this many standard deviations is cut to it (Huber): days nobody called an incident must not widen the limits.
WINSOR = 1.5
#: What the cut leaves of a normal's variance: E[min(z^2, 1.5^2)].
LEFT_BY_CUT = 0.7784
#: Below this many expected hits an hour, extra noise is taken for bursts (phi), above it for wobble of the level.
WOBBLE_FROM = 20.0


@dataclass(frozen=True, slots=True)
class Dispersion:
    """(S,) each: `phi` >= 1; `hourly`, `daily` relative standard deviations."""

    phi: Floats
    hourly: Floats
    daily: Floats


def fit(hits: Floats, expected: Floats, noise: Floats, learn: NDArray[np.bool_], group: NDArray[np.int64], floor: float) -> Dispersion:
    """Moments of hourly and daily residuals, each series leaning on its group by what its own history can tell.

    `hits`, `expected`, `noise` (counting variance): (S, H), H whole days back from the end. `floor`: least daily wobble believed.
    """
    size = hits.shape[0]
    days = hits.shape[1] // 24
    cut = slice(hits.shape[1] - days * 24, None)
    use = learn[:, cut]
    residual = np.where(use, hits[:, cut] - expected[:, cut], 0.0)
    due = np.where(use, expected[:, cut], 0.0)
    variance = np.where(use, noise[:, cut], 0.0)
    by_day = (size, days, 24)
    day_due, day_variance = due.reshape(by_day).sum(2), variance.reshape(by_day).sum(2)
    hour_square = _winsorised(residual, variance, due)
    day_square = _winsorised(residual.reshape(by_day).sum(2), day_variance, day_due)

    total = variance.sum(1)
    hour_weight, day_weight = (due**2).sum(1), (day_due**2).sum(1)
    # hour: square = phi * noise + daily^2 * due^2; day: the same with the day's sums; two equations, two unknowns
    daily2 = _pooled(day_square - hour_square, day_weight - hour_weight, group, _doubt(day_due), floor**2)
    left = np.maximum(hour_square - daily2 * hour_weight - total, 0.0)
    bursts = (due.sum(1) / np.maximum(use.sum(1), 1)) < WOBBLE_FROM
    phi = 1 + np.where(bursts, _pooled(left, total, group, 2 / np.maximum(use.sum(1), 1), 0.0), 0.0)
    hourly2 = np.where(bursts, 0.0, _pooled(left, hour_weight, group, _doubt(due), 0.0))
    return Dispersion(np.clip(phi, 1.0, 10.0), np.sqrt(hourly2), np.sqrt(daily2))


def _winsorised(residual: Floats, variance: Floats, due: Floats) -> Floats:
    """Sum of squared residuals by series, each residual cut at WINSOR typical deviations of its own series."""
    scale = np.sqrt(np.maximum(variance, 1e-9))
    z = residual / scale
    seen = due > 0
    typical = np.array([np.median(row[there]) if there.any() else 0.0 for row, there in zip(np.abs(z), seen, strict=True)])
    spread = np.maximum(typical.reshape(len(z)) / 0.6745, 1.0)[:, None]
    return np.asarray(((np.clip(z, -WINSOR * spread, WINSOR * spread) * scale) ** 2).sum(1) / LEFT_BY_CUT)


def _doubt(due: Floats) -> Floats:
    """Variance of a squared-wobble estimate from counts of mean `due`: 2 / (periods * mean^2)."""
    periods = np.maximum((due > 0).sum(1), 1)
    mean = due.sum(1) / periods
    return np.asarray(2 / (periods * np.maximum(mean, 1e-6) ** 2))


def _pooled(excess: Floats, weight: Floats, group: NDArray[np.int64], doubt: Floats, floor: float) -> Floats:
    """`excess / weight` per series, drawn to its group's own ratio as far as its `doubt` (variance) asks, never below `floor`."""
    count = int(group.max(initial=-1)) + 1
    # weight squared tells: a group's ratio comes from its large series, where wobble rises above counting noise
    together = np.bincount(group, excess, count) / np.maximum(np.bincount(group, weight, count), 1e-9)
    prior = np.maximum(together, max(floor, 1e-6))[group]
    own = np.maximum(excess / np.maximum(weight, 1e-9), 0.0)
    trust = prior**2 / (prior**2 + doubt)
    return np.asarray(np.maximum(trust * own + (1 - trust) * prior, floor))
