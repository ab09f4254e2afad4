"""Series read from the minute roll-ups: a window for the tick, hours to learn from, increments for a replay.

All three build the same series in the same order: for every cohort the conversions of adjacent steps, the volume of every step and the
error classes seen at each step. A cohort's names travel once; the millions of rows carry its hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import Floats, SeriesHistory, SeriesKey, SeriesWindow
from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, parameters
from funnelwatch.store.queries.series_rows import Ints, SeriesRows, known_by
from funnelwatch.store.scope import Scope

#: The arrival curve ends here: an event a day late says nothing about the last minutes.
LATE_MINUTES = 1_440


@dataclass(frozen=True, slots=True)
class Increments:
    """What became known when: at `known_minute`, `trials` and `hits` were added to series `keys[series]` at `minute`. Sorted by `known_minute`."""

    keys: tuple[SeriesKey, ...]
    known_minute: Ints
    minute: Ints
    series: Ints
    trials: Floats
    hits: Floats


def window(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    until_minute: int,
    minutes: int,
    as_of_minute: int | None = None,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> SeriesWindow:
    """The last `minutes` minutes up to and including `until_minute`, as known at the end of `as_of_minute` (None: all known now).

    `keys` fixes the series (those without data are zero); else the `cohort_limit` largest cohorts of the window are taken.
    """
    scope = Scope(funnel, run_id, until_minute + 1 - minutes, until_minute + 1)
    rows = SeriesRows.read(client, scope, as_of_minute, per=1)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    trials, hits = rows.fill(chosen, scope.from_minute, minutes)
    return SeriesWindow(chosen, np.arange(scope.from_minute, scope.to_minute, dtype=np.int64), trials, hits)


def history(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_hour: int,
    to_hour: int,
    excluded: Sequence[tuple[int, int, Cohort]] = (),
    as_of_minute: int | None = None,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> SeriesHistory:
    """Hours [from_hour, to_hour) since the epoch. `excluded` are (first minute, last minute, cohort) not to learn from."""
    scope = Scope(funnel, run_id, from_hour * 60, to_hour * 60)
    rows = SeriesRows.read(client, scope, as_of_minute, per=60)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    size = to_hour - from_hour
    trials, hits = rows.fill(chosen, from_hour, size)
    converted, delays = _conversions(client, scope, as_of_minute, rows, chosen)
    late_by = _late(client, scope, as_of_minute)
    return SeriesHistory(
        keys=chosen,
        hours=np.arange(from_hour, to_hour, dtype=np.int64),
        trials=trials,
        hits=hits,
        converted=converted,
        delays=delays,
        learn=_learnable(rows, chosen, excluded, from_hour, size),
        late=late_by.pop("", np.zeros(LATE_MINUTES + 1)),
        late_by=late_by,
    )


def increments(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_minute: int,
    to_minute: int,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> Increments:
    """Everything that happened in [from_minute, to_minute), in the order it became known: a replay's day in one read."""
    scope = Scope(funnel, run_id, from_minute, to_minute)
    rows = SeriesRows.read(client, scope, None, per=1, with_lag=True)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    series, row, is_hit = rows.placed(chosen)
    at, lag, count = rows.at[row], rows.lag[row], rows.count[row]
    order = np.argsort(at + lag, kind="stable")
    hits = np.where(is_hit, count, 0.0)
    return Increments(chosen, (at + lag)[order], at[order], series[order], (count - hits)[order], hits[order])


def versions(client: Client, project_id: int, from_minute: int, to_minute: int) -> list[tuple[int, int]]:
    """(funnel id, funnel version) of what was rolled up live in [from_minute, to_minute)."""
    rows = client.query(
        """
        SELECT DISTINCT funnel_id, funnel_version FROM rollup_minutes
        WHERE project_id = {project:UInt32} AND run_id = '' AND minute >= {from:UInt32} AND minute < {to:UInt32} ORDER BY ALL
        """,
        {"project": project_id, "from": from_minute, "to": to_minute},
    )
    return [(int(funnel), int(version)) for funnel, version in rows]


def missing(client: Client, funnel: FunnelDef, from_minute: int, to_minute: int) -> list[int]:
    """Minutes of [from_minute, to_minute) that hold events, or were rolled up live for another definition, and were not for this one.

    Looks for events only in the hours of which not every minute was rolled up: few in a shop that is watched. In one array, because an
    empty result costs a second question, for its header.
    """
    rows = client.query(
        f"""
        WITH done AS (
            SELECT minute FROM rollup_minutes
            WHERE project_id = {{project:UInt32}} AND funnel_id = {{funnel:UInt32}} AND funnel_version = {{funnel_version:UInt32}}
              AND {_LIVE_MINUTES}),
            whole AS (SELECT intDiv(minute, 60) AS hour FROM done GROUP BY hour HAVING uniqExact(minute) = 60)
        SELECT groupUniqArray(minute) FROM (
            SELECT minute FROM rollup_minutes WHERE project_id = {{project:UInt32}} AND {_LIVE_MINUTES}
            UNION ALL
            SELECT toUInt32(intDiv(toUnixTimestamp64Milli(ts), 60000)) AS minute FROM events
            WHERE project_id = {{project:UInt32}} AND toStartOfHour(ts) IN (
                SELECT toDateTime(hour * 3600, 'UTC') FROM (
                    SELECT arrayJoin(range(intDiv({{from:UInt32}}, 60), intDiv({{to:UInt32}} + 59, 60))) AS hour
                ) WHERE hour NOT IN whole
            )
        ) WHERE minute >= {{from:UInt32}} AND minute < {{to:UInt32}} AND minute NOT IN done
        """,
        parameters(Scope(funnel, "", from_minute, to_minute)),
    )
    return sorted(rows.scalar())


_LIVE_MINUTES = "run_id = '' AND minute >= {from:UInt32} AND minute < {to:UInt32}"


def _conversions(
    client: Client, scope: Scope, as_of: int | None, rows: SeriesRows, keys: Sequence[SeriesKey]
) -> tuple[Floats, Floats]:
    """(S, H) conversions by hour of the trial, and (S, D) by minutes from step to step."""
    hours, bins = (scope.to_minute - scope.from_minute) // 60, scope.funnel.window_minutes + 1
    found = client.arrays(
        f"""
        SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no, toInt64(delay) AS wait,
            toInt64(intDiv(minute - delay, 60)) AS hour, toInt64(grouping(wait)) AS by_hour, toFloat64(sum(entered)) AS n
        FROM funnel_minute
        WHERE {OF_FUNNEL} AND step > 1 AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED}
        GROUP BY GROUPING SETS ((cohort, step_no, hour), (cohort, step_no, wait))
        """,
        {**parameters(scope), "as_of": known_by(as_of)},
    )
    number = {step.name: k for k, step in enumerate(scope.funnel.steps, 1)}
    code_of = {cohort: code for code, cohort in rows.cohorts.items()}
    converted, delays = np.zeros((len(keys), hours)), np.zeros((len(keys), bins))
    by_pair = SeriesRows(
        scope.funnel, rows.cohorts, found["cohort"].astype(np.uint64), found["step_no"].astype(np.int64),
        found["by_hour"].astype(np.int64), found["hour"].astype(np.int64), found["wait"].astype(np.int64), found["n"].astype(np.float64),
    )  # fmt: skip
    order, starts = by_pair.sorted
    for i, key in enumerate(keys):
        if key.metric != "conversion":
            continue
        of_wait, of_hour = (
            order[slice(*starts.get((code_of.get(key.cohort, -1), number.get(key.step_to, 0), grouped), (0, 0)))] for grouped in (0, 1)
        )
        hour = by_pair.at[of_hour] - scope.from_minute // 60
        inside = hour >= 0
        converted[i] = np.bincount(hour[inside], weights=by_pair.count[of_hour][inside], minlength=hours)
        delays[i] = np.bincount(np.minimum(by_pair.lag[of_wait], bins - 1), weights=by_pair.count[of_wait], minlength=bins)
    return converted, delays


def _learnable(
    rows: SeriesRows, keys: Sequence[SeriesKey], excluded: Sequence[tuple[int, int, Cohort]], first: int, size: int
) -> NDArray[np.bool_]:
    """False before the step's events began to be collected and inside past incidents of overlapping cohorts."""
    learn = np.ones((len(keys), size), bool)
    began = {
        step.name: int(rows.at[(rows.step == k) & (rows.error < 0)].min(initial=first + size)) - first
        for k, step in enumerate(rows.funnel.steps, 1)
    }
    for i, key in enumerate(keys):
        learn[i, : max(began.get(name, 0) for name in (key.step_from, key.step_to))] = False
        for start, end, cohort in excluded:
            if _overlap(key.cohort, cohort):
                learn[i, max(0, start // 60 - first) : max(0, end // 60 - first + 1)] = False
    return learn


def _overlap(one: Cohort, other: Cohort) -> bool:
    """Whether a session can be in both."""
    shared = set(one.dimensions) & set(other.dimensions)
    return all(set(one.values(dimension)) & set(other.values(dimension)) for dimension in shared)


def _late(client: Client, scope: Scope, as_of: int | None) -> dict[str, Floats]:
    """Arrivals by minutes between happening and being known, by traffic source; "" is everyone."""
    rows = client.query(
        f"""
        SELECT source, groupArray(late), groupArray(n) FROM (
            SELECT value AS source, toInt64(least(lag, {LATE_MINUTES})) AS late, toFloat64(sum(entered)) AS n FROM funnel_minute
            WHERE {OF_FUNNEL} AND dims IN ('', 'source') AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED} GROUP BY source, late
        ) GROUP BY source
        """,
        {**parameters(scope), "as_of": known_by(as_of)},
    )
    return {
        source: np.bincount(late, weights=counts, minlength=LATE_MINUTES + 1).astype(np.float64) for source, late, counts in rows
    }
