"""One series by minute as programs read it: what was counted, what was to be expected, how much of it is in by now."""

from typing import Any

import numpy as np

from funnelwatch.core import clock
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import Floats, SeriesKey
from funnelwatch.detect.expect import by_minute
from funnelwatch.pipeline.charts import Z95
from funnelwatch.pipeline.learning import load_baseline
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import arrival, rollups
from funnelwatch.store.queries.arrival import SETTLED_MINUTES, Curve


def points(
    client: Client, project: Project, funnel: FunnelDef, key: SeriesKey, from_minute: int, to_minute: int
) -> list[dict[str, Any]]:
    """`{minute, trials, hits, expected, low, high, complete}` of a conversion series, epoch minutes [from_minute, to_minute), as known now.

    `expected`, `low` and `high` are hits by now, None without a baseline; `complete` is None where no arrivals were learned from.
    Raises StoreError, StoreUnavailable.
    """
    now, into = divmod(clock.now_ms(), 60_000)
    minutes = to_minute - from_minute
    # what arrives in the first minute comes from up to a window before it
    window = rollups.window(client, funnel, "", to_minute - 1, minutes + funnel.window_minutes, now, keys=(key,))
    curves = arrival.learn(client, funnel, "", now, by_source="source" in key.cohort.dimensions)
    step_from = [step.name for step in funnel.steps].index(key.step_from) + 1
    lags = [curves.lag(step, key.cohort) for step in (step_from, step_from + 1)]
    ages = now - window.minutes + into / 60_000 - 1.0  # 0 at a minute's end
    baseline = load_baseline(client, project, funnel, "")
    learned = None
    if baseline is not None:
        at_from, at_to = (_known(lag or Curve(baseline.arrival[0]), ages) for lag in lags)
        learned = by_minute(baseline, key, window, at_from, at_to)
    expected, variance = learned or (np.full(len(ages), np.nan),) * 2
    half = Z95 * np.sqrt(variance)
    columns = {
        "minute": window.minutes, "trials": window.trials[0], "hits": window.hits[0], "expected": expected,
        "low": np.maximum(expected - half, 0.0), "high": expected + half, "complete": _known(lags[1], ages),
    }  # fmt: skip
    rows = zip(*(values[-minutes:].tolist() for values in columns.values()), strict=True)
    return [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]


def _known(lag: Curve | None, ages: Floats) -> Floats:
    """Share of the arrivals at each age in minutes; NaN where it is not known."""
    return np.where(ages >= SETTLED_MINUTES, 1.0, np.nan if lag is None else lag.at(ages))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)
