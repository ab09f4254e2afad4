"""How much of a recent number is in by now: curves of lateness and delay learned from the settled past, by traffic source.

Sources differ: an app sends when its phone is back online, a shop's server in batches. A source too small for a curve of its own has everyone's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import Floats
from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, parameters
from funnelwatch.store.scope import Scope

Ints = NDArray[np.int64]

#: The past a curve is learned from.
LEARN_MINUTES = 7 * 1_440
#: A clients' retries end after two days.
SETTLED_MINUTES = 2 * 1_440
#: Fewer arrivals than this say nothing about a curve.
LEAST = 100
#: Of a minute that has this share or less nobody knows how much it will have.
LEAST_KNOWN = 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """`cumulative[d]`: share known at most `d` minutes after the minute it is told from."""

    cumulative: Floats

    def at(self, ages: Ints | Floats) -> Floats:
        """Share known at each age in minutes; 0 before the minute, in proportion while it runs."""
        return np.interp(ages, np.arange(-1, len(self.cumulative)), np.concatenate(([0.0], self.cumulative)))


@dataclass(frozen=True, slots=True)
class Curves:
    """What was learned, by (source, step number); source "" is everyone."""

    lags: Mapping[tuple[str, int], Curve]
    waits: Mapping[tuple[str, int], Curve]

    def lag(self, step: int, cohort: Cohort = EVERYONE) -> Curve | None:
        """Of arrivals at a step, from their own minute on; None where too few were seen."""
        return self.lags.get((_source(cohort), step)) or self.lags.get(("", step))

    def wait(self, step: int, cohort: Cohort = EVERYONE) -> Curve | None:
        """Of arrivals at a step, from the minute on in which they arrived at the step before; None where too few were seen."""
        return self.waits.get((_source(cohort), step)) or self.waits.get(("", step))


@dataclass(frozen=True, slots=True)
class Share:
    """Of the arrivals at a step and of their conversions, what should be known by now; None where nothing was learned."""

    entered: float | None
    converted: float | None


@dataclass(frozen=True, slots=True)
class Shares:
    """Step number -> share, by source; "" is everyone."""

    by_source: Mapping[str, Mapping[int, Share]]

    def of(self, cohort: Cohort) -> Mapping[int, Share]:
        """A cohort's own where it is of one source, else everyone's."""
        return self.by_source.get(_source(cohort)) or self.by_source[""]


def learn(client: Client, funnel: FunnelDef, run_id: str, as_of_minute: int, by_source: bool = False) -> Curves:
    """From the week of minutes that are settled at the end of `as_of_minute`, as known then; `by_source` besides everyone."""
    settled = max(as_of_minute + 1 - SETTLED_MINUTES, 0)
    scope = Scope(funnel, run_id, max(settled - LEARN_MINUTES, 0), settled)
    rows = client.query(
        f"""
        SELECT source, step, waiting, groupArray(minutes), groupArray(n) FROM (
            SELECT value AS source, step, told.1 AS waiting, told.2 AS minutes, toFloat64(sum(entered)) AS n
            FROM funnel_minute ARRAY JOIN [(0, toInt64(lag)), (1, toInt64(delay) + lag)] AS told
            WHERE {OF_FUNNEL} AND {_DIMS} AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED} GROUP BY source, step, told
        ) GROUP BY source, step, waiting
        """,
        {**parameters(scope), "as_of": as_of_minute, "dims": _dims(by_source)},
    )
    found: tuple[dict[tuple[str, int], Curve], ...] = ({}, {})
    for source, step, waiting, minutes, counts in rows:
        if sum(counts) >= LEAST:
            found[waiting][source, step] = Curve(np.cumsum(np.bincount(minutes, weights=counts)) / sum(counts))
    return Curves(*found)


def curve(client: Client, funnel: FunnelDef, run_id: str, as_of_minute: int, step: int, cohort: Cohort = EVERYONE) -> Curve | None:
    """Of arrivals at `step`, from the minute on in which they arrived at the step before; None when too few are settled and known."""
    return learn(client, funnel, run_id, as_of_minute, "source" in cohort.dimensions).wait(step, cohort)


def shares(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_minute: int,
    to_minute: int,
    as_of_minute: int,
    by_source: bool = False,
    elapsed: float = 1.0,
) -> Shares:
    """Of arrivals in [from_minute, to_minute) and their conversions, the shares that should be known once `elapsed` (0 to 1) of `as_of_minute` is over.

    Weighs the minutes by their arrivals, made up for those still on their way; all alike where nothing has come yet.
    """
    steps = range(1, len(funnel.steps) + 1)
    oldest = funnel.window_minutes + SETTLED_MINUTES
    if as_of_minute - to_minute + 1 >= oldest:
        return Shares({"": {step: Share(1.0, 1.0 if step < len(steps) else None) for step in steps}})
    curves = learn(client, funnel, run_id, as_of_minute, by_source)
    scope = Scope(funnel, run_id, from_minute, to_minute)
    rows = client.query(
        f"""
        SELECT source, step, groupArray(age), groupArray(n) FROM (
            SELECT value AS source, step, least(toInt64({{as_of:UInt32}}) - minute, {oldest}) AS age, toFloat64(sum(entered)) AS n FROM funnel_minute
            WHERE {OF_FUNNEL} AND {_DIMS} AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED} GROUP BY source, step, age
        ) GROUP BY source, step
        """,
        {**parameters(scope), "as_of": as_of_minute, "dims": _dims(by_source)},
    )
    ages = as_of_minute - np.arange(from_minute, to_minute, dtype=np.float64) + elapsed - 1.0
    found: dict[str, dict[int, Share]] = {"": {step: _share(curves, step, EVERYONE, ages, np.ones(len(ages))) for step in steps}}
    for source, step, old, counts in rows:
        cohort = Cohort.of({"source": source}) if source else EVERYONE
        found.setdefault(source, {})[step] = _share(curves, step, cohort, np.array(old, dtype=np.float64) + elapsed - 1.0, np.array(counts))
    return Shares(found)


def _share(curves: Curves, step: int, cohort: Cohort, ages: Floats, counts: Floats) -> Share:
    """Of arrivals `ages` minutes ago, `counts` of which are known."""
    lag, wait = curves.lag(step, cohort), curves.wait(step + 1, cohort)
    whole = counts / np.maximum(lag.at(ages), LEAST_KNOWN) if lag else counts
    entered, converted = (
        float(whole @ curve.at(ages) / whole.sum()) if curve and len(ages) else None for curve in (lag, wait)
    )
    return Share(entered, converted)


def _source(cohort: Cohort) -> str:
    values = cohort.values("source")
    return values[0] if len(values) == 1 else ""


def _dims(by_source: bool) -> list[str]:
    return ["", "source"] if by_source else [""]


_DIMS = "dims IN {dims:Array(String)}"
