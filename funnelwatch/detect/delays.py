"""How long people take from step to step, and how late events reach us."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import SeriesKey

Floats = NDArray[np.float64]

#: A cohort has its own delays once this many conversions say so; a pmf over an hour needs about ten a bin.
OWN_DELAYS_FROM = 500
#: and lies this far (total variation) off its parent's: below it, a shared pmf costs under 2 % of the expectation.
OWN_DELAYS_BEYOND = 0.1
#: A traffic source has its own arrival curve where it lies this far off everyone's at some age, and beyond chance: an app that sends
#: once its phone is back online would look like a drop in every newest minute.
OWN_ARRIVAL_BEYOND = 0.05
#: Of Kolmogorov and Smirnov: 99 in 100 curves of n arrivals lie within this over the root of n.
CHANCE = 1.63


def families(keys: tuple[SeriesKey, ...], delays: Floats, parent: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Delay pmfs (F, D) and each series' row in them (S,). Row 0 is "no delay": metrics that have none, and the unknown.

    A series shares its parent's pmf unless it has conversions enough to show a different one.
    """
    none = np.zeros(max(delays.shape[1], 1))
    none[0] = 1.0
    pmfs = [none]
    family = np.zeros(len(keys), dtype=np.int64)
    for row in sorted(range(len(keys)), key=lambda index: len(keys[index].cohort.entries)):
        if keys[row].metric != "conversion":
            continue
        seen = float(delays[row].sum())
        inherited = int(family[parent[row]]) if parent[row] >= 0 else 0
        own = delays[row] / seen if seen > 0 else none
        apart = 0.5 * float(np.abs(own - pmfs[inherited]).sum())
        noise = np.sqrt(np.count_nonzero(own) / max(seen, 1.0))
        if (inherited == 0 and seen > 0) or (seen >= OWN_DELAYS_FROM and apart > OWN_DELAYS_BEYOND + noise):
            family[row] = len(pmfs)
            pmfs.append(own)
        else:
            family[row] = inherited
    return np.array(pmfs), family


def arrival_curve(late: Floats) -> Floats:
    """Share of a minute's events known by its end, one minute later, ..., (L,) non-decreasing to 1.

    `late[k]`: events known in the k-th minute after their own (0 = the same). Nothing known yet: everything is punctual.
    """
    total = float(late.sum())
    if total <= 0:
        return np.ones(1)
    curve = np.cumsum(late) / total
    enough = int(np.searchsorted(curve, 0.9995))  # the last 0.05 % would stretch the curve over hours for nothing
    return np.append(curve[:enough], 1.0)


def arrival_curves(
    keys: tuple[SeriesKey, ...], late: Floats, late_by: Mapping[str, Floats]
) -> tuple[Floats, NDArray[np.int64]]:
    """Arrival curves (A, L), row 0 everyone's, and each series' row in them (S,): its traffic source's where that differs."""
    length = max(map(len, (late, *late_by.values())))
    curves = [_padded(arrival_curve(late), length)]
    row_of: dict[tuple[str, ...], int] = {}
    for source, counts in sorted(late_by.items()):
        own = _padded(arrival_curve(counts), length)
        if np.abs(own - curves[0]).max() > OWN_ARRIVAL_BEYOND + CHANCE / np.sqrt(max(counts.sum(), 1.0)):
            row_of[(source,)] = len(curves)
            curves.append(own)
    longest = max(int((curve < 1.0).sum()) + 1 for curve in curves)
    rows = [row_of.get(key.cohort.values("source"), 0) for key in keys]
    return np.array(curves)[:, :longest], np.array(rows, dtype=np.int64).reshape(len(keys))


def _padded(curve: Floats, length: int) -> Floats:
    return np.concatenate((curve, np.ones(max(length + 1 - len(curve), 0))))


def completeness(arrival: Floats, ages: NDArray[np.int64]) -> Floats:
    """Share expected to have arrived at each age in minutes; 1 beyond the curve, 0 for the future. Curves (..., L), ages (K,): (..., K)."""
    share = arrival[..., np.clip(ages, 0, arrival.shape[-1] - 1)]
    return np.asarray(np.where(ages < 0, 0.0, share))


def settling_minutes(arrival: Floats, share: float = 0.99) -> int:
    """Age at which a minute is as good as final: `share` of it has arrived."""
    return int(np.searchsorted(arrival, share))
