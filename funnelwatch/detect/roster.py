"""The series a tick judges: those with a usable baseline, in the order arithmetic wants, with each one's limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import Floats, SeriesKey
from funnelwatch.core.stats.budget import spend
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.expect import Expecter, expecter

#: Streams that get half of the false-alarm budget between them: the headline steps and their largest cohorts.
CRITICAL = 20
MINUTES_A_DAY = 1440
#: How levels wobble is known from other shops as well: worth so many days in the tail of Student's t.
DAYS_KNOWN = 10


@dataclass(frozen=True, slots=True)
class Roster:
    """U judged series of a window. `pick`: (U,) their rows in the window; `log_interval`: (U,) log minutes between false alarms.

    `row`: each key's place among the U. `cells`: the rows of the cohorts one entry narrower than a key's, by the dimension added.
    """

    window_keys: tuple[SeriesKey, ...]
    baseline: Baseline
    per_week: float
    keys: tuple[SeriesKey, ...]
    row: Mapping[SeriesKey, int]
    cells: Mapping[SeriesKey, Mapping[str, NDArray[np.int64]]]
    pick: NDArray[np.int64]
    laid: Expecter
    log_interval: Floats
    phi: Floats
    hourly2: Floats
    daily2: Floats
    margin: Floats

    def fits(self, keys: tuple[SeriesKey, ...], baseline: Baseline, per_week: float) -> bool:
        """Whether this roster still serves."""
        return self.baseline is baseline and self.per_week == per_week and (self.window_keys is keys or self.window_keys == keys)


def roster(keys: tuple[SeriesKey, ...], baseline: Baseline, per_week: float) -> Roster:
    """Choose and order the series to judge, and share out the budget of `per_week` false alarms a week."""
    rows = baseline.rows(keys)
    # a series unseen at the fit is judged by its ancestor's rate, and only where that ancestor is usable at all
    pick = np.flatnonzero((rows >= 0) & baseline.usable[rows]) if len(rows) else rows
    laid, order = expecter(baseline, rows[pick])
    pick = pick[order]
    row = rows[pick]
    chosen = tuple(keys[index] for index in pick)
    log_interval = spend(_critical(chosen, baseline.hits_a_day[row]), per_week)
    # the level itself may be off for a day at a time: forgive as much as happens once per interval, the more the fewer days are known
    chance = np.minimum(np.exp(np.log(MINUTES_A_DAY) - log_interval), 0.5)
    days = baseline.days[row]
    forgiven = special.stdtrit(days + DAYS_KNOWN, 1 - chance) * baseline.daily[row] * np.sqrt(1 + 1 / np.maximum(days, 1))
    deviations = special.ndtri(1 - chance)
    return Roster(
        window_keys=keys,
        baseline=baseline,
        per_week=per_week,
        keys=chosen,
        row={key: index for index, key in enumerate(chosen)},
        cells=_cells(chosen),
        pick=pick,
        laid=laid,
        log_interval=log_interval,
        phi=baseline.phi[row],
        hourly2=baseline.hourly[row] ** 2,
        daily2=np.where(deviations > 0, forgiven / np.maximum(deviations, 1e-9), baseline.daily[row]) ** 2,
        margin=np.clip(forgiven, 0.0, 0.95),
    )


def _critical(keys: tuple[SeriesKey, ...], hits_a_day: Floats) -> NDArray[np.bool_]:
    """The CRITICAL streams: rates before volumes, everyone before cohorts, then by the hits they carry."""
    ranked = sorted(
        range(len(keys)), key=lambda i: (keys[i].metric == "volume", len(keys[i].cohort.entries), -hits_a_day[i])
    )
    critical = np.zeros(len(keys), bool)
    critical[ranked[:CRITICAL]] = True
    return critical


def _cells(keys: tuple[SeriesKey, ...]) -> dict[SeriesKey, dict[str, NDArray[np.int64]]]:
    found: dict[SeriesKey, dict[str, list[int]]] = {}
    for index, key in enumerate(keys):
        for entry in key.cohort.entries:
            wider = replace(key, cohort=Cohort(tuple(other for other in key.cohort.entries if other != entry)))
            found.setdefault(wider, {}).setdefault(entry[0], []).append(index)
    return {key: {dimension: np.array(rows) for dimension, rows in parts.items()} for key, parts in found.items()}
