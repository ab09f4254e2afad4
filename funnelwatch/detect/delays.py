"""How long people take from step to step, and how late events reach us."""

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import SeriesKey

Floats = NDArray[np.float64]

#: A cohort has its own delays once this many conversions say so; a pmf over an hour needs about ten a bin.
OWN_DELAYS_FROM = 500
#: and lies this far (total variation) off its parent's: below it, a shared pmf costs under 2 % of the expectation.
OWN_DELAYS_BEYOND = 0.1


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


def completeness(arrival: Floats, ages: NDArray[np.int64]) -> Floats:
    """Share expected to have arrived at each age in minutes; 1 beyond the curve, 0 for the future."""
    share = arrival[np.clip(ages, 0, len(arrival) - 1)]
    return np.asarray(np.where(ages < 0, 0.0, share))


def settling_minutes(arrival: Floats, share: float = 0.99) -> int:
    """Age at which a minute is as good as final: `share` of it has arrived."""
    return int(np.searchsorted(arrival, share))
