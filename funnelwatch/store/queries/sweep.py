"""Take out roll-up rows nobody reads any more: of versions that were replaced, of a replay that is to be made again.

Lightweight deletes: they mark rows in the parts that hold some and merges drop them, so sweeping an hour's rest costs the same
after a year.
"""

from collections import defaultdict

from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import version_of

#: `journey` last: what follows from it goes first, so after a crash its rows still show what there is to sweep.
_TABLES = ("endpoint_minute", "event_minute", "funnel_minute", "journey")
_OF_RUN = ("rollup_minutes", "cohort_values", *_TABLES)
#: Minutes a statement: their versions travel in its parameters.
_MINUTES = 5_000


def prune(client: Client, project_id: int, older_than_s: float = 3_600.0) -> int:
    """Drop the rows of versions that were replaced over `older_than_s` seconds ago; returns how many minutes had some.

    A minute keeps its newest committed version of that age and everything newer, committed or not: a reader that began within
    `older_than_s` and a roll-up at work lose nothing. Raises StoreError, StoreUnavailable; the next call then completes the work.
    """
    found = client.query(
        """
        SELECT funnel_id, funnel_version, run_id, minute, any(best)
        FROM (SELECT DISTINCT funnel_id, funnel_version, run_id, minute, version FROM journey WHERE project_id = {project:UInt32}) AS rows
        INNER JOIN (
            SELECT funnel_id, funnel_version, run_id, minute, max(version) AS best FROM rollup_minutes
            WHERE project_id = {project:UInt32} AND version < {settled:UInt64}
            GROUP BY funnel_id, funnel_version, run_id, minute
        ) AS committed USING (funnel_id, funnel_version, run_id, minute)
        WHERE version < best GROUP BY funnel_id, funnel_version, run_id, minute ORDER BY minute
        """,
        {"project": project_id, "settled": version_of(older_than_s)},
    )
    kept: dict[tuple[int, int, str], list[tuple[int, int]]] = defaultdict(list)
    for funnel_id, funnel_version, run_id, minute, best in found:
        kept[funnel_id, funnel_version, run_id].append((minute, best))
    for key, minutes in kept.items():
        for start in range(0, len(minutes), _MINUTES):
            _sweep(client, project_id, key, minutes[start : start + _MINUTES])
    return len(found)


def forget_run(client: Client, project_id: int, run_id: str) -> None:
    """Drop a replay's roll-ups, before it is made again. Raises ValueError for the live ones (""), StoreError, StoreUnavailable."""
    if not run_id:
        raise ValueError("the live roll-ups are no run to forget")
    for table in _OF_RUN:
        client.command(
            f"DELETE FROM {table} WHERE project_id = {{project:UInt32}} AND run_id = {{run:String}}",
            {"project": project_id, "run": run_id},
        )


def rows_of_run(client: Client, project_id: int, run_id: str) -> dict[str, int]:
    """Table -> rows a replay left, that making it again replaces. Raises StoreError, StoreUnavailable."""
    params = {"project": project_id, "run": run_id}
    return {
        table: int(client.query(f"SELECT count() FROM {table}{final} WHERE project_id = {{project:UInt32}} AND run_id = {{run:String}}", params).scalar())
        for table in ("detector_states", *_OF_RUN)
        for final in [" FINAL" if table in ("detector_states", "rollup_minutes") else ""]  # what was replaced goes in some merge or other
    }


def _sweep(client: Client, project_id: int, key: tuple[int, int, str], kept: list[tuple[int, int]]) -> None:
    """Delete what is older than the kept version of each (minute, version), minutes ascending."""
    minutes = [minute for minute, _ in kept]
    params = {
        "project": project_id, "funnel": key[0], "funnel_version": key[1], "run": key[2], "minutes": minutes,
        "kept": [version for _, version in kept], "first": minutes[0], "last": minutes[-1],
    }  # fmt: skip
    for table in _TABLES:
        client.command(
            f"""
            DELETE FROM {table}
            WHERE project_id = {{project:UInt32}} AND funnel_id = {{funnel:UInt32}} AND funnel_version = {{funnel_version:UInt32}}
              AND run_id = {{run:String}} AND intDiv(minute, 60) BETWEEN intDiv({{first:UInt32}}, 60) AND intDiv({{last:UInt32}}, 60)
              AND version < transform(minute, {{minutes:Array(UInt32)}}, {{kept:Array(UInt64)}}, toUInt64(0))
            """,
            params,
        )
