"""Erase a person, or a time range, from the event store: raw events, roll-ups and the sample of the live view.

A person's events go first, then every roll-up minute their journeys touched, so that the minutes can be rolled up again without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from funnelwatch.store.client import Client

_ROLLUPS = ("endpoint_minute", "event_minute", "funnel_minute", "journey")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was (on a dry run: would be) erased: rows by table, and the epoch minutes to roll up again."""

    rows: Mapping[str, int]
    minutes: tuple[int, ...]
    dry_run: bool


def person(client: Client, project_id: int, identities: Sequence[str], dry_run: bool = False) -> Receipt:
    """Erase whoever is one of `identities` (visitor ids or user ids as stored), and the visitor ids only those users had; a server's events go by their orders.

    The counts of others in the minutes named are to be made again by a roll-up; until then they hold the person's share without
    anything that identifies them. Raises ValueError for an empty identity, StoreError, StoreUnavailable; calling again completes
    the work.
    """
    if not all(identities) or not identities:
        raise ValueError("an empty id is nobody's")
    params: dict[str, object] = {"project": project_id, "ids": _aliases(client, project_id, identities)}
    params["orders"] = list(client.query(
        f"SELECT DISTINCT order_id FROM events WHERE project_id = {{project:UInt32}} AND order_id != '' AND {_THEIRS}", params
    ).columns[0])  # fmt: skip
    mine = f"project_id = {{project:UInt32}} AND ({_THEIRS} OR visitor_id = '' AND user_id = '' AND order_id IN {{orders:Array(String)}})"
    events = f"SELECT message_id FROM events WHERE {mine}"
    minutes = client.query(
        f"SELECT DISTINCT toInt64(intDiv(toUnixTimestamp64Milli(ts), 60000)) AS minute FROM events WHERE {mine} ORDER BY minute", params
    ).columns[0]
    conditions = {
        "ingest_recent": f"project_id = {{project:UInt32}} AND message_id IN ({events})",
        "journey": "project_id = {project:UInt32} AND (visitor_id IN {ids:Array(String)} OR order_id IN {orders:Array(String)})",
        "visitors": "project_id = {project:UInt32} AND visitor_id IN {ids:Array(String)}",
        "events": mine,  # last: by them a second call finds what a crash left behind
    }
    return _erase(client, conditions, params, tuple(int(minute) for minute in minutes), dry_run)


def time_range(
    client: Client, project_id: int, from_ms: int, to_ms: int, reach_minutes: int, dry_run: bool = False
) -> Receipt:
    """Erase all that happened with `from_ms <= ts < to_ms` (epoch milliseconds): events, and the roll-ups of every minute touched.

    To be rolled up again are minutes only partly covered and, for sessions cut off, the `reach_minutes` (the longest
    `session_sql.reach_minutes` of the project's funnels) from the end on. A day wholly covered also loses the choice of what it was cut
    by; a day of which a part stays needs it. Raises ValueError, StoreError, StoreUnavailable; calling again completes the work.
    """
    if from_ms >= to_ms:
        raise ValueError("the range ends before it begins")
    first, last = from_ms // 60_000, (to_ms - 1) // 60_000
    whole_first, whole_end = -(-from_ms // 60_000), to_ms // 60_000
    partly = sorted({*range(first, whole_first), *range(whole_end, last + 1)})
    params: dict[str, object] = {
        "project": project_id, "from": from_ms, "to": to_ms, "first": whole_first, "end": whole_end, "partly": partly,
    }  # fmt: skip
    between = """project_id = {project:UInt32}
        AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')"""
    rolled = "project_id = {project:UInt32} AND minute >= {first:UInt32} AND minute < {end:UInt32}"
    conditions = {
        "ingest_recent": f"project_id = {{project:UInt32}} AND message_id IN (SELECT message_id FROM events WHERE {between})",
        # in rollup_minutes a minute partly covered stays: by it is known for which funnels it is to be rolled up again
        **dict.fromkeys((*_ROLLUPS, "rollup_minutes"), rolled),
        "cohort_values": "project_id = {project:UInt32} AND from_minute >= {first:UInt32} AND from_minute + 1440 <= {end:UInt32}",
        "visitors": between.replace("ts", "first_ts"),
        "events": between,
    }
    again = tuple(sorted({*partly, *range(whole_end, last + 1 + reach_minutes)}))
    receipt = _erase(client, conditions, params, again, dry_run)
    if not dry_run:
        for table in _ROLLUPS if partly else ():
            client.command(f"ALTER TABLE {table} DELETE WHERE project_id = {{project:UInt32}} AND minute IN {{partly:Array(UInt32)}} SETTINGS mutations_sync = 1", params)
        client.command(_SEEN_ELSEWHERE, params)
    return receipt


#: Who was first seen in an erased time, and came again.
_SEEN_ELSEWHERE = """
    INSERT INTO visitors (project_id, visitor_id, first_ts, retention_days)
    SELECT project_id, if(visitor_id != '', visitor_id, user_id) AS actor, min(ts), retention_days FROM events
    WHERE project_id = {project:UInt32} AND NOT bot AND NOT test AND channel != 'server'
      AND actor NOT IN (SELECT visitor_id FROM visitors WHERE project_id = {project:UInt32})
    GROUP BY project_id, actor, retention_days, toYYYYMM(ts)"""
_THEIRS = "(visitor_id IN {ids:Array(String)} OR user_id IN {ids:Array(String)})"


def _aliases(client: Client, project_id: int, identities: Sequence[str]) -> list[str]:
    """The ids themselves, and for users the visitor ids that only one of these users had."""
    rows = client.query(
        """
        SELECT visitor_id FROM events
        WHERE project_id = {project:UInt32} AND visitor_id != '' AND visitor_id IN (
            SELECT visitor_id FROM events WHERE project_id = {project:UInt32} AND user_id IN {ids:Array(String)})
        GROUP BY visitor_id HAVING countIf(user_id != '' AND user_id NOT IN {ids:Array(String)}) = 0
        """,
        {"project": project_id, "ids": list(identities)},
    )
    return sorted({*identities, *rows.columns[0]})


def _erase(client: Client, conditions: Mapping[str, str], params: Mapping[str, object], minutes: tuple[int, ...], dry_run: bool) -> Receipt:
    rows = {
        table: int(client.query(f"SELECT count() FROM {table} WHERE {condition}", params).scalar())
        for table, condition in conditions.items()
    }
    if not dry_run:
        for table, condition in conditions.items():
            if rows[table]:
                client.command(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 1", params)
    return Receipt(rows, minutes, dry_run)
