"""Is the store fresh? What the watcher watches about itself."""

from typing import Any

from funnelwatch.store.client import Client


def freshness(client: Client, project_id: int, now_ms: int) -> dict[str, Any]:
    """`{events, newest_event, newest_receipt, newest_stored, arrival_p50_s, arrival_p99_s, storing_p50_s, storing_p99_s}`.

    Times are epoch ms (None without events), counts and quantiles of what was received in the hour before `now_ms`: from happening to
    receipt, and from receipt to the store.
    """
    row = client.query(
        """
        SELECT countIf(recent) AS events, toUnixTimestamp64Milli(max(ts)) AS newest_event,
            toUnixTimestamp64Milli(max(received_at)) AS newest_receipt, toUnixTimestamp64Milli(max(inserted_at)) AS newest_stored,
            quantilesIf(0.5, 0.99)(dateDiff('millisecond', ts, received_at) / 1000, recent) AS arrival,
            quantilesIf(0.5, 0.99)(dateDiff('millisecond', received_at, inserted_at) / 1000, recent) AS storing
        FROM (
            SELECT ts, received_at, inserted_at, received_at > fromUnixTimestamp64Milli({now:Int64} - 3600000, 'UTC') AS recent
            FROM events
            WHERE project_id = {project:UInt32} AND ts >= (SELECT max(ts) FROM events WHERE project_id = {project:UInt32}) - INTERVAL 1 DAY
        )
        """,
        {"project": project_id, "now": now_ms},
    ).dicts()[0]
    known = row["newest_event"] > 0
    arrival, storing = ([None, None] if not row["events"] else row[name] for name in ("arrival", "storing"))
    return {
        "events": row["events"],
        **{name: row[name] if known else None for name in ("newest_event", "newest_receipt", "newest_stored")},
        "arrival_p50_s": arrival[0], "arrival_p99_s": arrival[1], "storing_p50_s": storing[0], "storing_p99_s": storing[1],
    }  # fmt: skip


def clocks(client: Client, project_id: int, from_ms: int, to_ms: int) -> dict[str, int]:
    """`{events, off, unusable}` of what was received in [from_ms, to_ms): all events, those whose sender's clock was off by more than a
    minute, and those whose time could not be used at all, so that they count when they were received.
    """
    return client.query(
        """
        SELECT toInt64(count()) AS events, toInt64(countIf(abs(skew_ms) > 60000 AND time_mark = '')) AS off,
            toInt64(countIf(time_mark != '')) AS unusable
        FROM events
        WHERE project_id = {project:UInt32} AND received_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
            AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
            AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC')) - INTERVAL 1 DAY
        """,
        {"project": project_id, "from": from_ms, "to": to_ms},
    ).dicts()[0]


def tables(client: Client) -> list[dict[str, Any]]:
    """`{table, rows, bytes}` on disk, largest first."""
    return client.query(
        """
        SELECT table, toInt64(sum(rows)) AS rows, toInt64(sum(bytes_on_disk)) AS bytes FROM system.parts
        WHERE active AND database = currentDatabase() GROUP BY table ORDER BY bytes DESC, table
        """
    ).dicts()


def expiring(client: Client, until_ms: int) -> list[dict[str, Any]]:
    """`{table, partitions, rows}` that go by their shops' retention until then (epoch ms), the live view's sample apart, the most first."""
    return client.query(
        """
        SELECT table, toInt64(uniqExact(partition_id)) AS partitions, toInt64(sum(rows)) AS rows FROM system.parts
        WHERE active AND database = currentDatabase() AND table != 'ingest_recent'
          AND delete_ttl_info_max > toDateTime(0) AND delete_ttl_info_max <= toDateTime(intDiv({until:Int64}, 1000))
        GROUP BY table ORDER BY rows DESC, table
        """,
        {"until": until_ms},
    ).dicts()


def columns(client: Client, table: str) -> list[dict[str, Any]]:
    """`{column, bytes, raw_bytes}` of a table: compressed on disk and before, largest first."""
    return client.query(
        """
        SELECT column, toInt64(sum(column_data_compressed_bytes)) AS bytes, toInt64(sum(column_data_uncompressed_bytes)) AS raw_bytes
        FROM system.parts_columns WHERE active AND database = currentDatabase() AND table = {table:String}
        GROUP BY column ORDER BY bytes DESC, column
        """,
        {"table": table},
    ).dicts()
