"""Which events a shop sends at all."""

from funnelwatch.store.client import Client


def seen(client: Client, project_id: int, since_ms: int, until_ms: int) -> set[str]:
    """Names of the events with `since_ms <= ts < until_ms` (epoch milliseconds)."""
    rows = client.query(
        """
        SELECT DISTINCT name FROM events
        WHERE project_id = {project:UInt32}
          AND ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
          AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({since:Int64}, 'UTC'))
        """,
        {"project": project_id, "since": since_ms, "until": until_ms},
    )
    return {name for (name,) in rows}


def span(client: Client, project_id: int) -> tuple[int, int] | None:
    """Times of the first and the last event (epoch milliseconds); None while there is none."""
    count, first, last = next(
        iter(
            client.query(
                """
                SELECT count(), toUnixTimestamp64Milli(min(ts)), toUnixTimestamp64Milli(max(ts))
                FROM events WHERE project_id = {project:UInt32} AND NOT test
                """,
                {"project": project_id},
            )
        )
    )
    return (int(first), int(last)) if count else None
