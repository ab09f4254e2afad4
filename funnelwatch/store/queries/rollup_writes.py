"""Minute roll-ups: made from `journey` under a fresh version, committed minute by minute.

Readers take, for every minute, only the rows of the greatest committed version. So a second run, two workers at once or a crash
half-way change no number, and the rows of a version that was replaced are swept later (`sweep.prune`).
"""

import secrets
import time
from collections.abc import Sequence

from funnelwatch.core.vocabulary import MULTI_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.scope import Scope

#: Joins the values of a combined cohort in the `value` column, as "," joins the names in `dims`.
SEPARATOR = "\x1f"
OTHER = "other"
#: A UInt16 of minutes: 45 days. What comes later still is counted as known then.
_MAX_LAG = 65_535

#: A version is the system's clock in microseconds and this many random bits: a name that grows, not a product time.
_RANDOM_BITS = 12

DimensionSet = tuple[str, ...]

COMMITTED = """(minute, version) IN (
    SELECT minute, max(version) FROM rollup_minutes
    WHERE project_id = {project:UInt32} AND funnel_id = {funnel:UInt32} AND funnel_version = {funnel_version:UInt32}
      AND run_id = {run:String} AND minute >= {from:UInt32} AND minute < {to:UInt32}
    GROUP BY minute)"""

OF_FUNNEL = """project_id = {project:UInt32} AND funnel_id = {funnel:UInt32} AND funnel_version = {funnel_version:UInt32}
    AND run_id = {run:String} AND minute >= {from:UInt32} AND minute < {to:UInt32}
    AND intDiv(minute, 60) >= intDiv({from:UInt32}, 60) AND intDiv(minute, 60) <= intDiv({to:UInt32}, 60)"""


#: The choice of cohort values for the day a scope lies in: a scope never spans two.
OF_DAY = """project_id = {project:UInt32} AND funnel_id = {funnel:UInt32} AND run_id = {run:String}
    AND from_minute = intDiv({from:UInt32}, 1440) * 1440"""


def parameters(scope: Scope) -> dict[str, object]:
    """The parameters `OF_FUNNEL` and `COMMITTED` need."""
    return {
        "project": scope.funnel.project_id, "funnel": scope.funnel.id, "funnel_version": scope.funnel.version,
        "run": scope.run_id, "from": scope.from_minute, "to": scope.to_minute,
    }  # fmt: skip


def new_version() -> int:
    """Greater than any before, and no other worker's."""
    return version_of(0.0) | secrets.randbelow(1 << _RANDOM_BITS)


def version_of(seconds_ago: float) -> int:
    """Roll-ups begun before that moment have lesser versions."""
    return (time.time_ns() // 1_000 - int(seconds_ago * 1e6)) << _RANDOM_BITS


def insert_arrivals(client: Client, scope: Scope, version: int, sets: Sequence[DimensionSet]) -> None:
    """Fill `funnel_minute` from the journey rows of `version`."""
    client.command(
        f"""
        INSERT INTO funnel_minute
            (project_id, funnel_id, funnel_version, run_id, version, minute, step, dims, value, lag, delay, entered, retention_days)
        SELECT project_id, funnel_id, funnel_version, run_id, version, minute, step, cohort.1 AS dims, {_POOLED} AS pooled,
            least(greatest(intDiv(toUnixTimestamp64Milli(known_at), 60000) - minute, 0), {_MAX_LAG}) AS lag,
            if(step > 1, least(minute - intDiv(toUnixTimestamp64Milli(prev_at), 60000), {_MAX_LAG}), 0) AS delay, count(), max(retention_days)
        FROM journey ARRAY JOIN {cohorts(sets)} AS cohort
        WHERE {OF_FUNNEL} AND version = {{version:UInt64}} AND name = '' AND {KNOWN}
        GROUP BY project_id, funnel_id, funnel_version, run_id, version, minute, step, dims, pooled, lag, delay
        """,
        {**parameters(scope), "version": version},
    )


def insert_events(client: Client, scope: Scope, version: int, sets: Sequence[DimensionSet]) -> None:
    """Fill `event_minute` likewise."""
    client.command(
        f"""
        INSERT INTO event_minute
            (project_id, funnel_id, funnel_version, run_id, version, minute, step, name, error_code, currency, dims, value, lag,
             events, sessions, orders, units, revenue, latency, retention_days)
        SELECT project_id, funnel_id, funnel_version, run_id, version, minute, step, name, error_code, currency,
            cohort.1 AS dims, {_POOLED} AS pooled,
            least(greatest(intDiv(toUnixTimestamp64Milli(known_at), 60000) - minute, 0), {_MAX_LAG}) AS lag,
            count(), uniqExact(session), uniqExactIf(order_id, name = 'purchase'), sum(units), sum(journey.value),
            quantilesBFloat16StateIf(0.5, 0.95)(ifNull(duration_ms, 0), duration_ms IS NOT NULL), max(retention_days)
        FROM journey ARRAY JOIN {cohorts(sets)} AS cohort
        WHERE {OF_FUNNEL} AND version = {{version:UInt64}} AND name != '' AND {KNOWN}
        GROUP BY project_id, funnel_id, funnel_version, run_id, version, minute, step, name, error_code, currency, dims, pooled, lag
        """,
        {**parameters(scope), "version": version},
    )


def insert_endpoints(client: Client, scope: Scope, version: int) -> None:
    """Fill `endpoint_minute` from the journey rows of `version`."""
    client.command(
        f"""
        INSERT INTO endpoint_minute
            (project_id, funnel_id, funnel_version, run_id, version, minute, step, name, endpoint, lag, events, latency, retention_days)
        SELECT project_id, funnel_id, funnel_version, run_id, version, minute, step, name, endpoint,
            least(greatest(intDiv(toUnixTimestamp64Milli(known_at), 60000) - minute, 0), {_MAX_LAG}) AS lag,
            count(), quantilesBFloat16State(0.5, 0.95)(assumeNotNull(duration_ms)), max(retention_days)
        FROM journey WHERE {OF_FUNNEL} AND version = {{version:UInt64}} AND multi = '' AND endpoint != ''
        GROUP BY project_id, funnel_id, funnel_version, run_id, version, minute, step, name, endpoint, lag
        """,
        {**parameters(scope), "version": version},
    )


def commit(client: Client, scope: Scope, version: int) -> None:
    """Make `version` the one that counts for every minute of the scope, in one block: all of them or none."""
    minutes = list(range(scope.from_minute, scope.to_minute))
    funnel = scope.funnel
    keys = {
        "project_id": funnel.project_id, "funnel_id": funnel.id, "funnel_version": funnel.version, "run_id": scope.run_id,
        "version": version,
    }  # fmt: skip
    client.insert("rollup_minutes", {**{name: [value] * len(minutes) for name, value in keys.items()}, "minute": minutes})


def multi_of(dims: DimensionSet) -> str:
    """The multi-valued dimension of a set, "" when it has none. Raises ValueError when it has two."""
    found = [name for name in dims if name in MULTI_DIMENSIONS]
    if len(found) > 1:
        raise ValueError(f"a cohort takes one multi-valued dimension at most: {dims}")
    return found[0] if found else ""


def cohorts(sets: Sequence[DimensionSet]) -> str:
    """SQL array of the (dims, value) a row belongs to. Names come from the closed vocabulary, never from input."""
    families = {multi: [_cohort(dims) for dims in sets if multi_of(dims) == multi] for multi in ("", *MULTI_DIMENSIONS)}
    branches = [f"multi = '{multi}', [{', '.join(pairs)}]" for multi, pairs in families.items() if pairs]
    return f"multiIf({', '.join(branches)}, CAST([], 'Array(Tuple(String, String))'))"


def _cohort(dims: DimensionSet) -> str:
    columns = [f"toString({'multi_value' if name in MULTI_DIMENSIONS else name})" for name in dims]
    empty = " OR ".join(f"{column} = ''" for column in columns) or "0"
    joined = f"concatWithSeparator('{_UNIT}', {', '.join(columns)})" if len(columns) > 1 else (columns or ["''"])[0]
    return f"('{','.join(dims)}', if({empty}, '{_UNIT}', {joined}))"


_UNIT = "\\x1f"
#: A set with a dimension not known at that point holds no cohort.
KNOWN = f"cohort.2 != '{_UNIT}'"
_CUTS = f"FROM cohort_values WHERE {OF_DAY}"
_REST = f"arrayStringConcat(arrayWithConstant(length(splitByChar(',', cohort.1)), '{OTHER}'), '{_UNIT}')"
_POOLED = f"if(cohort.1 NOT IN (SELECT dims {_CUTS}) OR cohort IN (SELECT dims, value {_CUTS}), cohort.2, {_REST})"
