"""Which events a project sends."""

from typing import Any

from funnelwatch.store.client import Client


def seen(client: Client, project_id: int, since_ms: int, until_ms: int) -> set[str]:
    """Names of events with `since_ms <= ts < until_ms` (epoch ms); bots and test events do not count."""
    return {row["name"] for row in counted(client, project_id, since_ms, until_ms)}


def counted(client: Client, project_id: int, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """`{name, events, first, last}` (epoch ms) of every event name in that time, most frequent first."""
    return client.query(
        """
        SELECT name, count() AS events, toUnixTimestamp64Milli(min(ts)) AS first, toUnixTimestamp64Milli(max(ts)) AS last
        FROM events
        WHERE project_id = {project:UInt32} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
          AND NOT bot AND NOT test
        GROUP BY name ORDER BY events DESC, name
        """,
        {"project": project_id, "from": since_ms, "to": until_ms},
    ).dicts()


def newest(client: Client, project_id: int, until_ms: int) -> int | None:
    """Time of the newest event not after `until_ms` (epoch milliseconds) that counts; None while there is none."""
    rows = client.query(
        """
        SELECT count(), toUnixTimestamp64Milli(max(ts)) FROM events
        WHERE project_id = {project:UInt32} AND NOT bot AND NOT test AND ts <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
        """,
        {"project": project_id, "until": until_ms},
    )
    count, last = next(iter(rows))
    return int(last) if count else None


def minutes(client: Client, project_id: int, from_minute: int, to_minute: int) -> list[int]:
    """Epoch minutes of [from_minute, to_minute) that hold events, ascending."""
    rows = client.query(
        """
        SELECT DISTINCT toInt64(intDiv(toUnixTimestamp64Milli(ts), 60000)) AS minute FROM events
        WHERE project_id = {project:UInt32} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
          AND toStartOfHour(ts) <= toStartOfHour(fromUnixTimestamp64Milli({to:Int64}, 'UTC'))
        ORDER BY minute
        """,
        {"project": project_id, "from": from_minute * 60_000, "to": to_minute * 60_000},
    )
    return [int(minute) for (minute,) in rows]


def span(client: Client, project_id: int) -> tuple[int, int] | None:
    """Times of the first and the last event (epoch milliseconds); None while there is none."""
    rows = client.query(
        """
        SELECT count(), toUnixTimestamp64Milli(min(ts)), toUnixTimestamp64Milli(max(ts))
        FROM events WHERE project_id = {project:UInt32} AND NOT test
        """,
        {"project": project_id},
    )
    count, first, last = next(iter(rows))
    return (int(first), int(last)) if count else None
