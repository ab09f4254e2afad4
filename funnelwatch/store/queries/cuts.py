"""What a day is cut by: sets of dimensions besides the usual ones, and which values of a set are counted by name; others are "other".

Both are chosen once, from the sessions of the day before.

Only sets of many values are cut, so a new release or campaign is counted by name from its first minute. A choice holds from midnight
to midnight UTC and never changes, so rolling a day up again gives the same rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import (
    COMMITTED,
    KNOWN,
    OF_DAY,
    OF_FUNNEL,
    OTHER,
    DimensionSet,
    cohorts,
    parameters,
)
from funnelwatch.store.scope import Scope

#: Sessions a choice is made by: of a value at the floor of 0.05 % there are 25 to 50, and a larger shop pays no more for choosing.
_SESSIONS = 50_000
#: Minutes from one choice to the next.
DAY = 1_440


def chosen(client: Client, scope: Scope) -> list[DimensionSet] | None:
    """The sets chosen for the scope's day besides the usual ones; None when nothing was chosen yet."""
    sql = f"SELECT DISTINCT value FROM cohort_values WHERE {OF_DAY} AND dims = '' ORDER BY value"
    marks = [value for (value,) in client.query(sql, parameters(scope))]
    return [tuple(value.split(",")) for value in marks if value] if marks else None


def of_day(client: Client, project_id: int, minute: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """What was chosen for the day (UTC) a minute lies in, watched live: sets as `'browser,region'` with what they contribute in thousandths;
    and sets of which values are pooled, with the pooled sessions of the day before, the most first."""
    rows = client.query(
        f"""
        SELECT if(dims = '', value, dims) AS name, dims != '' AS pooled, max(sessions) AS size FROM cohort_values
        WHERE project_id = {{project:UInt32}} AND run_id = '' AND from_minute = {{day:UInt32}} AND (dims = '' OR value = '{OTHER}')
        GROUP BY name, pooled HAVING name != '' ORDER BY size DESC, name
        """,
        {"project": project_id, "day": minute // DAY * DAY},
    )
    return [(name, size) for name, pooled, size in rows if not pooled], [(name, size) for name, pooled, size in rows if pooled]


def pooled_days(client: Client, scope: Scope, dims: DimensionSet) -> int:
    """On how many days (UTC) that the scope touches small values of a set are counted as "other"."""
    return int(client.query(
        f"""
        SELECT uniqExact(from_minute) FROM cohort_values
        WHERE project_id = {{project:UInt32}} AND funnel_id = {{funnel:UInt32}} AND run_id = {{run:String}}
          AND from_minute >= intDiv({{from:UInt32}}, {DAY}) * {DAY} AND from_minute < {{to:UInt32}} AND dims = {{dims:String}} AND value = '{OTHER}'
        """,
        {**parameters(scope), "dims": ",".join(dims)},
    ).scalar())  # fmt: skip


def sample(client: Client, scope: Scope, dimensions: Sequence[str], most: int) -> dict[str, NDArray[np.str_]]:
    """What up to `most` sessions of the scope had of each dimension at the end, as known when the scope ended."""
    sql = f"""
        SELECT {', '.join(f"toString(argMax({name}, step))" for name in dimensions)}
        FROM journey WHERE {_DAY_BEFORE} AND multi = '' GROUP BY session ORDER BY cityHash64(session) LIMIT {{most:UInt32}}
        """
    columns = client.query(sql, {**parameters(scope), "most": most}).columns
    return {name: np.array(column, dtype=np.str_) for name, column in zip(dimensions, columns, strict=True)} if columns else {}


def choose(client: Client, scope: Scope, sets: Sequence[DimensionSet], extra: Mapping[DimensionSet, float], named: int, least_share: float) -> None:
    """Choose for the day that begins at the scope's `to_minute` by the sessions of the scope, as known by then.

    `extra` are the sets among `sets` to cut by besides the usual ones, with what each contributes.

    A set of more than `named` values keeps that many, the largest, as far as each holds `least_share` of all sessions; "other" is
    stored beside them with the sessions pooled.
    """
    funnel = scope.funnel
    everyone = int(client.query(f"SELECT uniq(session) FROM journey WHERE {_DAY_BEFORE} AND multi = ''", parameters(scope)).scalar())
    client.command(
        f"""
        INSERT INTO cohort_values (project_id, funnel_id, run_id, from_minute, dims, value, sessions)
        SELECT {{project:UInt32}}, {{funnel:UInt32}}, {{run:String}}, {{to:UInt32}}, cut_set,
            if(place <= {{named:UInt32}} AND size >= {{least:Float64}}, cohort_value, '{OTHER}') AS kept, sum(size)
        FROM (
            SELECT cohort.1 AS cut_set, cohort.2 AS cohort_value, uniq(session) * {{every:UInt32}} AS size,
                row_number() OVER (PARTITION BY cut_set ORDER BY size DESC, cohort_value) AS place, count() OVER (PARTITION BY cut_set) AS many
            FROM journey ARRAY JOIN {cohorts(sets)} AS cohort
            WHERE {_DAY_BEFORE} AND session % {{every:UInt32}} = 0 AND {KNOWN} GROUP BY cut_set, cohort_value
        ) WHERE many > {{named:UInt32}} GROUP BY cut_set, kept
        """,
        {**parameters(scope), "named": named, "least": least_share * everyone, "every": max(1, everyone // _SESSIONS)},
    )
    marks = ["", *(",".join(dims) for dims in extra)]
    client.insert(
        "cohort_values",
        {"project_id": [funnel.project_id] * len(marks), "funnel_id": [funnel.id] * len(marks), "run_id": [scope.run_id] * len(marks),
         "from_minute": [scope.to_minute] * len(marks), "dims": [""] * len(marks), "value": marks,
         "sessions": [0, *(round(share * 1000) for share in extra.values())]},
    )  # fmt: skip


_DAY_BEFORE = f"{OF_FUNNEL} AND {COMMITTED} AND name = '' AND intDiv(toUnixTimestamp64Milli(known_at), 60000) < {{to:UInt32}}"
