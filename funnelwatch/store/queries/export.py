"""A day of a project's events or roll-ups into a Parquet file, and which days have changed."""

from pathlib import Path
from typing import NamedTuple

from funnelwatch.store.client import Client

DAY_MS = 86_400_000


class Day(NamedTuple):
    """A day (UTC, days since the epoch) with its rows, about, and a mark that changes whenever they do."""

    day: int
    rows: int
    mark: str


#: Where the rows of a day come from: a condition on {project} and the times [{from}, {to}) in epoch milliseconds.
_SPAN = """project_id = {project:UInt32} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))"""
_MINUTES = """project_id = {project:UInt32} AND minute >= intDiv({from:Int64}, 60000) AND minute < intDiv({to:Int64}, 60000)"""
_AT = "fromUnixTimestamp64Milli(toInt64(minute) * 60000, 'UTC') AS at"
#: Without a single duration the sketch gives NaN, which no reader takes for "nothing".
_QUANTILE = "if(isNaN(finalizeAggregation(latency)[1]), NULL, toFloat64(finalizeAggregation(latency)[{}]))"

#: Table -> its rows of a day. `events` as stored, a message once; roll-ups as of all that is known, dims as "os,browser".
_ROWS = {
    "events": f"SELECT * EXCEPT (project_id, retention_days, inserted_at) FROM events FINAL WHERE {_SPAN} ORDER BY ts, message_id",
    "funnel_minute": f"""
        SELECT {_AT}, funnel_id, funnel_version, step, dims, value, delay AS delay_minutes, entered FROM funnel_counts
        WHERE {_MINUTES} ORDER BY ALL""",
    "event_minute": f"""
        SELECT {_AT}, funnel_id, funnel_version, step, name, error_code, currency, dims, value, events, sessions, orders, units, revenue,
            {_QUANTILE.format(1)} AS latency_p50_ms, {_QUANTILE.format(2)} AS latency_p95_ms
        FROM event_counts WHERE {_MINUTES} ORDER BY ALL""",
}
TABLES = tuple(_ROWS)


def days(client: Client, project_id: int, table: str, from_ms: int, to_ms: int) -> list[Day]:
    """The days that hold something in [from_ms, to_ms), oldest first. Raises KeyError for an unknown table."""
    if table == "events":
        sql = f"""SELECT intDiv(toUnixTimestamp64Milli(ts), {DAY_MS}) AS day, count(), toString(max(inserted_at))
            FROM events WHERE {_SPAN} GROUP BY day ORDER BY day"""
    else:
        sql = f"SELECT intDiv(minute, 1440) AS day, count(), toString(max(version)) FROM rollup_minutes WHERE run_id = '' AND {_MINUTES} GROUP BY day ORDER BY day"
    rows = client.query(sql, {"project": project_id, "from": from_ms, "to": to_ms})
    return [Day(int(day), int(count), f"{count} {newest}") for day, count, newest in rows]


def write(client: Client, path: Path, project_id: int, table: str, from_ms: int, to_ms: int) -> None:
    """The rows with a time in [from_ms, to_ms) as one Parquet file. Raises KeyError, StoreError, StoreUnavailable, OSError."""
    client.parquet(path, _ROWS[table], {"project": project_id, "from": from_ms, "to": to_ms})
