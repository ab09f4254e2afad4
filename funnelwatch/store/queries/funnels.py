"""Questions about a funnel, answered from the minute roll-ups: report, comparison, series, time to convert.

A conversion is counted in the minute of its trial, so a rate never exceeds one and "entered, converted" are the same sessions.
Every number comes with its interval and the share of it that is expected to be in by now.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any

import numpy as np

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.stats import rates
from funnelwatch.core.vocabulary import DIMENSIONS, MULTI_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.queries import arrival, cuts, rollups
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, SEPARATOR, multi_of
from funnelwatch.store.queries.span import OF_SPAN, TRIAL_IN_SPAN, Span

#: Cohorts in a breakdown, largest first.
GROUPS = 100


@dataclass(frozen=True, slots=True)
class StepCount:
    """Sessions that arrived at a step in the span and how many of them arrived at the next one.

    `complete` is the share of the eventual `converted` that should be in by now, `complete_entered` that of `entered` (None before
    anything was learned); the last step has no next one: `converted`, `rate`, `interval` and `complete` are None.
    """

    step: str
    entered: int
    converted: int | None
    complete: float | None
    complete_entered: float | None = None

    @property
    def rate(self) -> float | None:
        """Converted over entered; None without either."""
        return self.converted / self.entered if self.entered and self.converted is not None else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of the rate."""
        return None if self.converted is None else rates.wilson(self.converted, self.entered)

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "step": self.step, "entered": self.entered, "converted": self.converted, "rate": self.rate,
            "interval": self.interval, "complete": self.complete, "complete_entered": self.complete_entered,
        }  # fmt: skip


Steps = tuple[StepCount, ...]


def report(client: Client, span: Span, by: Sequence[str] = ()) -> dict[str, Any]:
    """`{minutes_missing, steps, groups: [{cohort, steps}], left_out, pooled_days}`: the funnel, and cut by up to two dimensions.

    `left_out` are the groups beyond the GROUPS largest; `pooled_days` the days (UTC) on which small values were counted as "other", so that
    such a group lacks them. Raises ValueError for unknown dimensions.
    `minutes_missing` are those of the live history before `as_of_minute` that are still to be counted; while there are any, nobody knows
    how complete the counts are.
    """
    dims = _find_set(client, span, by)
    missing = [] if span.run_id else rollups.missing(client, span.funnel, span.from_minute, min(span.to_minute, span.as_of_minute))
    arrived = arrival.arrived(client, span, "source" in by)
    shares = arrival.Shares({"": {}}) if missing else arrival.shares(client, span, arrived)
    groups = {cohort: steps_of(span.funnel, counts, shares.of(cohort)) for cohort, counts in _counts(client, span, by, dims).items()} if by else {}
    largest = sorted(groups.items(), key=lambda item: -item[1][0].entered)[:GROUPS]
    return {
        "minutes_missing": len(missing),
        "steps": [step.to_json() for step in steps_of(span.funnel, _everyone(arrived), shares.of(EVERYONE))],
        "groups": [{"cohort": cohort.to_json(), "steps": [step.to_json() for step in steps]} for cohort, steps in largest],
        "left_out": max(0, len(groups) - GROUPS),
        "pooled_days": cuts.pooled_days(client, replace(span.scope(), to_minute=span.to_minute), dims) if dims else 0,
    }


def counts(client: Client, span: Span, cohort: Cohort = EVERYONE) -> Steps:
    """The funnel of one cohort. Raises ValueError for several values of a dimension a session has many of."""
    known = arrival.arrived(client, span, "source" in cohort.dimensions)
    shares = arrival.shares(client, span, known).of(cohort)
    return steps_of(span.funnel, counts_of(client, span, cohort) if cohort.dimensions else _everyone(known), shares)


def compare(one: Steps, other: Steps) -> list[dict[str, Any]]:
    """Two periods or two cohorts, step by step: both rates and `other` minus `one` with its 95 % interval."""
    rows = []
    for a, b in zip(one, other, strict=True):
        if a.converted is None or b.converted is None:
            continue
        shift, low, high = rates.difference(a.converted, a.entered, b.converted, b.entered)
        rows.append({"step": a.step, "before": a.to_json(), "after": b.to_json(), "difference": shift, "interval": (low, high)})
    return rows


def series(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, bucket_minutes: int = 60) -> list[dict[str, Any]]:
    """`{minute, entered, converted, interval, complete}` by bucket, oldest first: one step's rate over time."""
    dims, joined = stored_cohort(client, span, cohort)
    number = number_of(span.funnel, step)
    rows = client.query(
        f"""
        SELECT intDiv(at, {{bucket:UInt32}}) * {{bucket:UInt32}} AS bucket, sum(arrived), sum(went_on) FROM (
            SELECT if(step = {{step:UInt8}}, minute, minute - delay) AS at,
                if(step = {{step:UInt8}}, entered, 0) AS arrived, if(step = {{step:UInt8}}, 0, entered) AS went_on
            FROM funnel_minute
            WHERE {OF_SPAN} AND dims = {{dims:String}} AND value IN {{values:Array(String)}} AND step IN ({{step:UInt8}}, {{step:UInt8}} + 1)
        ) WHERE at >= {{from:UInt32}} AND at < {{end:UInt32}} GROUP BY bucket ORDER BY bucket
        """,
        {**span.parameters(), "bucket": bucket_minutes, "step": number, "dims": dims, "values": joined},
    )
    curve = arrival.curve(client, span.funnel, span.run_id, span.as_of_minute, number + 1, cohort)

    def complete(start: int) -> float | None:
        minutes = np.arange(max(start, span.from_minute), min(start + bucket_minutes, span.to_minute), dtype=np.float64)
        return None if curve is None else float(curve.at(span.as_of_minute - minutes + span.elapsed - 1.0).mean())

    return [
        {
            "minute": minute, "entered": entered, "converted": converted, "interval": rates.wilson(converted, entered),
            "complete": complete(minute),
        }
        for minute, entered, converted in rows
    ]  # fmt: skip


def time_to_convert(client: Client, span: Span, step_to: str, cohort: Cohort = EVERYONE) -> dict[str, Any]:
    """`{count, median, p90, histogram: [[minutes, count]]}` from the step before to `step_to`, by minute of its trial."""
    dims, joined = stored_cohort(client, span, cohort)
    rows = client.query(
        f"""
        SELECT toInt64(delay) AS wait, toInt64(sum(entered)) FROM funnel_minute
        WHERE {OF_SPAN} AND dims = {{dims:String}} AND value IN {{values:Array(String)}} AND step = {{step:UInt8}} AND step > 1
          AND {TRIAL_IN_SPAN}
        GROUP BY wait ORDER BY wait
        """,
        {**span.parameters(), "step": number_of(span.funnel, step_to), "dims": dims, "values": joined},
    )
    histogram = [list(row) for row in rows]
    total = np.cumsum([count for _, count in histogram])
    if not histogram:
        return {"count": 0, "median": None, "p90": None, "histogram": []}
    quantile = {q: histogram[int(np.searchsorted(total, q * total[-1]))][0] for q in (0.5, 0.9)}
    return {"count": int(total[-1]), "median": quantile[0.5], "p90": quantile[0.9], "histogram": histogram}


#: Step -> (arrived in the span, of the arrivals at the step before those that came here).
Counts = Mapping[int, tuple[int, int]]


def counts_by(client: Client, span: Span, by: Sequence[str]) -> dict[Cohort, Counts]:
    """By cohort of these dimensions. Raises ValueError for unknown ones."""
    return _counts(client, span, by, _find_set(client, span, by))


def counts_of(client: Client, span: Span, cohort: Cohort) -> Counts:
    """Of one cohort. Raises ValueError for several values of a dimension a session has many of."""
    _one_by_one(cohort)
    parts = [found for part, found in counts_by(client, span, cohort.dimensions).items() if cohort.contains(part)]
    arrived, went_on = ({step: sum(found.get(step, (0, 0))[side] for found in parts) for step in set().union(*parts)} for side in (0, 1))
    return {step: (arrived[step], went_on[step]) for step in arrived}


def counts_of_all(client: Client, span: Span) -> dict[Cohort, Counts]:
    """Every cohort of every dimension set that is rolled up."""
    return _stored(client, span, None)


def _counts(client: Client, span: Span, by: Sequence[str], dims: tuple[str, ...] | None) -> dict[Cohort, Counts]:
    return _counts_from_journey(client, span, tuple(by)) if dims is None else _stored(client, span, dims)


def _stored(client: Client, span: Span, dims: tuple[str, ...] | None) -> dict[Cohort, Counts]:
    """From the roll-ups, by cohort of one dimension set, or of all without one."""
    of_set, dimensions = ("1", "dims") if dims is None else ("dims = {dims:String}", "{dims:String}")
    rows = client.query(
        f"""
        SELECT {dimensions} AS cut_set, value, step, toInt64(sumIf(entered, minute < {{end:UInt32}})),
            toInt64(sumIf(entered, {TRIAL_IN_SPAN}))
        FROM funnel_minute WHERE {OF_SPAN} AND {of_set} GROUP BY cut_set, value, step
        """,
        {**span.parameters(), "dims": ",".join(dims or ())},
    )
    return _by_cohort((tuple(dims.split(",")) if dims else (), value, step, a, b) for dims, value, step, a, b in rows)


def _counts_from_journey(client: Client, span: Span, by: tuple[str, ...]) -> dict[Cohort, Counts]:
    """The same for a combination that is not rolled up: from the sessions, which costs a scan of the span."""
    multi = multi_of(by)
    columns = [f"toString({'multi_value' if name == multi else name})" for name in by]
    rows = client.query(
        f"""
        SELECT [{", ".join(columns)}] AS cohort, step, toInt64(countIf(minute < {{end:UInt32}})),
            toInt64(countIf(intDiv(toUnixTimestamp64Milli(prev_at), 60000) >= {{from:UInt32}}
                AND intDiv(toUnixTimestamp64Milli(prev_at), 60000) < {{end:UInt32}}))
        FROM journey
        WHERE {OF_FUNNEL} AND {COMMITTED} AND multi = {{multi:String}} AND name = '' AND NOT has(cohort, '')
          AND intDiv(toUnixTimestamp64Milli(known_at), 60000) <= {{as_of:UInt32}}
        GROUP BY cohort, step
        """,
        {**span.parameters(), "multi": multi},
    )
    return _by_cohort((by, SEPARATOR.join(cohort), step, a, b) for cohort, step, a, b in rows)


def _everyone(arrived: Mapping[str, Mapping[int, arrival.Arrived]]) -> Counts:
    return {step: (known.entered, known.converted) for step, known in arrived[""].items()}


def _by_cohort(rows: Any) -> dict[Cohort, Counts]:
    found: dict[Cohort, dict[int, tuple[int, int]]] = defaultdict(dict)
    for dims, value, step, arrived, went_on in rows:
        cohort = Cohort.of(zip(dims, value.split(SEPARATOR), strict=True)) if dims else Cohort()
        found[cohort][step] = (arrived, went_on)
    return dict(found)


def steps_of(funnel: FunnelDef, found: Counts, shares: Mapping[int, arrival.Share]) -> Steps:
    """Counts by step number, and the share of each expected to be in by now, under the steps' names."""
    steps, unknown = funnel.steps, arrival.Share(None, None)
    return tuple(
        StepCount(
            step=step.name,
            entered=found.get(number, (0, 0))[0],
            converted=found.get(number + 1, (0, 0))[1] if number < len(steps) else None,
            complete=shares.get(number, unknown).converted,
            complete_entered=shares.get(number, unknown).entered,
        )
        for number, step in enumerate(steps, 1)
    )


def _find_set(client: Client, span: Span, by: Sequence[str]) -> tuple[str, ...] | None:
    """The dimension set of just these dimensions that is stored for every day (UTC) of the span, in its own order.

    Some sets are chosen day by day: one that is missing on a day would leave out that day's sessions. Raises ValueError for unknown ones.
    """
    if not set(by) <= set(DIMENSIONS):
        raise ValueError(f"unknown dimension in {', '.join(by)}; there are {', '.join(DIMENSIONS)}")
    if not by:
        return ()
    orders = [",".join(names) for names in permutations(by)]
    days: dict[str, int] = dict(client.query(
        f"SELECT dims, uniqExact(intDiv(minute, 1440)) FROM funnel_minute WHERE {OF_FUNNEL} AND dims IN {{orders:Array(String)}} GROUP BY dims",
        {**span.parameters(), "orders": ["", *orders]},
    ))  # fmt: skip
    return next((tuple(dims.split(",")) for dims in orders if days.get(dims, 0) == days.get("", -1)), None)


def stored_cohort(client: Client, span: Span, cohort: Cohort) -> tuple[str, list[str]]:
    """A cohort as the roll-ups write it: (dims, each value that is part of it).

    Raises ValueError where its dimensions are not rolled up together, or for several values of one a session has many of.
    """
    _one_by_one(cohort)
    dims = _find_set(client, span, cohort.dimensions)
    if dims is None:
        raise ValueError(f"{', '.join(cohort.dimensions)} is not rolled up together")
    return ",".join(dims), [SEPARATOR.join(values) for values in product(*(cohort.values(name) for name in dims))]


def _one_by_one(cohort: Cohort) -> None:
    """Sums over values are right only where a session has one of them."""
    for name in set(cohort.dimensions) & set(MULTI_DIMENSIONS):
        if len(cohort.values(name)) > 1:
            raise ValueError(f"a session can have several values of {name} and would be counted once for each: ask for one at a time")


def number_of(funnel: FunnelDef, step: str) -> int:
    """A step's number in the roll-ups, from 1. Raises ValueError naming the funnel's steps."""
    names = [each.name for each in funnel.steps]
    if step not in names:
        raise ValueError(f"funnel {funnel.name} has no step {step!r}; it has {', '.join(names)}")
    return names.index(step) + 1
