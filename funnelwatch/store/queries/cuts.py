"""Which cohort values a day counts by name, chosen once from the sessions of the day before; the others of a cut set are "other".

Only sets of many values are cut, so a new release or campaign is counted by name from its first minute. A choice holds from midnight
to midnight UTC and never changes, so rolling a day up again gives the same rows.
"""

from collections.abc import Sequence

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

#: Minutes from one choice to the next.
DAY = 1_440


def is_chosen(client: Client, scope: Scope) -> bool:
    """Whether the choice for the scope's day was made."""
    sql = f"SELECT count() FROM cohort_values WHERE {OF_DAY} AND dims = ''"
    return bool(client.query(sql, parameters(scope)).scalar())


def choose(client: Client, scope: Scope, sets: Sequence[DimensionSet], named: int, least_share: float) -> None:
    """Choose for the day that begins at the scope's `to_minute` by the sessions of the scope, as known by then.

    A set of more than `named` values keeps that many, the largest, as far as each holds `least_share` of all sessions; "other" is
    stored beside them with the sessions pooled.
    """
    funnel = scope.funnel
    client.command(
        f"""
        INSERT INTO cohort_values (project_id, funnel_id, run_id, from_minute, dims, value, sessions)
        WITH (SELECT uniq(session) FROM journey WHERE {_DAY_BEFORE} AND multi = '') AS everyone
        SELECT {{project:UInt32}}, {{funnel:UInt32}}, {{run:String}}, {{to:UInt32}}, cut_set,
            if(place <= {{named:UInt32}} AND size >= {{least:Float64}} * everyone, cohort_value, '{OTHER}') AS kept, sum(size)
        FROM (
            SELECT cohort.1 AS cut_set, cohort.2 AS cohort_value, uniq(session) AS size,
                row_number() OVER (PARTITION BY cut_set ORDER BY size DESC, cohort_value) AS place, count() OVER (PARTITION BY cut_set) AS many
            FROM journey ARRAY JOIN {cohorts(sets)} AS cohort
            WHERE {_DAY_BEFORE} AND {KNOWN} GROUP BY cut_set, cohort_value
        ) WHERE many > {{named:UInt32}} GROUP BY cut_set, kept
        """,
        {**parameters(scope), "named": named, "least": least_share},
    )
    client.insert(
        "cohort_values",
        {"project_id": [funnel.project_id], "funnel_id": [funnel.id], "run_id": [scope.run_id], "from_minute": [scope.to_minute],
         "dims": [""], "value": [""], "sessions": [0]},
    )  # fmt: skip


_DAY_BEFORE = f"{OF_FUNNEL} AND {COMMITTED} AND name = '' AND intDiv(toUnixTimestamp64Milli(known_at), 60000) < {{to:UInt32}}"
