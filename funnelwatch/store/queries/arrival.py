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
from funnelwatch.store.queries.span import OF_SPAN, TRIAL_IN_SPAN, Span
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
class Arrived:
    """Arrivals at a step in a span: `counts[i]` of them `ages[i]` minutes ago.

    `converted`: of the span's arrivals at the step before those that came here, whenever they did; at the first step it says nothing.
    """

    ages: Floats
    counts: Floats
    converted: int

    @property
    def entered(self) -> int:
        """Arrivals in all."""
        return int(self.counts.sum())


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
            SELECT value AS source, step, toInt64(lag) AS late, toInt64(delay) + lag AS waited, grouping(late) AS waiting,
                late + waited AS minutes, toFloat64(sum(entered)) AS n
            FROM funnel_minute WHERE {OF_FUNNEL} AND {_DIMS} AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED}
            GROUP BY GROUPING SETS ((source, step, late), (source, step, waited))
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


def arrived(client: Client, span: Span, by_source: bool = False) -> dict[str, dict[int, Arrived]]:
    """By source, "" being everyone (and always there), and step number. Ages count from `span.as_of_minute`, those of settled minutes are cut."""
    rows = client.query(
        f"""
        SELECT source, step, groupArrayIf(age, n > 0), groupArrayIf(n, n > 0), toInt64(sum(went_on)) FROM (
            SELECT value AS source, step, least(toInt64({{as_of:UInt32}}) - minute, {_oldest(span)}) AS age,
                toFloat64(sumIf(entered, minute < {{end:UInt32}})) AS n,
                sumIf(entered, {TRIAL_IN_SPAN}) AS went_on
            FROM funnel_minute WHERE {OF_SPAN} AND {_DIMS} GROUP BY source, step, age
        ) GROUP BY source, step
        """,
        {**span.parameters(), "dims": _dims(by_source)},
    )
    found: dict[str, dict[int, Arrived]] = {"": {}}
    for source, step, ages, counts, converted in rows:
        found.setdefault(source, {})[step] = Arrived(np.array(ages, dtype=np.float64), np.array(counts, dtype=np.float64), converted)
    return found


def shares(client: Client, span: Span, known: Mapping[str, Mapping[int, Arrived]]) -> Shares:
    """Of the arrivals in the span and of their conversions, the shares that should be known once `elapsed` of `as_of_minute` is over.

    Of everyone and of each source in `known`, as `arrived` gives it. Weighs the minutes by their arrivals, made up for those still on
    their way; all alike where nothing has come yet.
    """
    steps = range(1, len(span.funnel.steps) + 1)
    if span.as_of_minute - span.to_minute + 1 >= _oldest(span):
        return Shares({"": {step: Share(1.0, 1.0 if step < len(steps) else None) for step in steps}})
    curves = learn(client, span.funnel, span.run_id, span.as_of_minute, by_source=len(known) > 1)
    ages = span.as_of_minute - np.arange(span.from_minute, span.to_minute, dtype=np.float64)
    alike = Arrived(ages, np.ones(len(ages)), 0)
    return Shares({
        source: {step: _share(curves, step, source, _any(at.get(step)) or alike, span.elapsed) for step in steps}
        for source, at in known.items()
    })  # fmt: skip


def _any(known: Arrived | None) -> Arrived | None:
    return known if known and known.entered else None


def _oldest(span: Span) -> int:
    """The age in minutes from which on all is known."""
    return span.funnel.window_minutes + SETTLED_MINUTES


def _share(curves: Curves, step: int, source: str, known: Arrived, elapsed: float) -> Share:
    cohort = Cohort.of({"source": source}) if source else EVERYONE
    ages = known.ages + elapsed - 1.0
    lag, wait = curves.lag(step, cohort), curves.wait(step + 1, cohort)
    whole = known.counts / np.maximum(lag.at(ages), LEAST_KNOWN) if lag else known.counts
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
