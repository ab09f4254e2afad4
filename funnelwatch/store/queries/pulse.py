"""How the stream is doing: events a second, channels, lateness, refusals, revenue of the hour."""

from dataclasses import dataclass

from funnelwatch.store.client import Client


@dataclass(frozen=True, slots=True)
class Pulse:
    """`minutes`: Unix seconds of closed minutes, `per_second` events in each; shares 0..1; `revenue` of the last hour or None."""

    newest_event_at: int | None
    history_days: int
    minutes: list[int]
    per_second: list[float]
    channels: dict[str, float]
    late: float
    rejected: float
    revenue: float | None


def read(client: Client, project_id: int, currency: str, now_ms: int, minutes: int) -> Pulse:
    """The pulse of the last `minutes` minutes before `now_ms` (epoch milliseconds), by time of receipt."""
    end = now_ms // 60_000
    params = {"project": project_id, "from": (end - minutes) * 60_000, "to": end * 60_000, "hour": now_ms - 3_600_000,
              "now": now_ms, "currency": currency}  # fmt: skip
    counts: dict[int, int] = dict(client.query(_BY_MINUTE, params))
    by_channel = {channel: round(count / 3600, 3) for channel, count in client.query(_BY_CHANNEL, params)}
    late, revenue, orders = next(iter(client.query(_LAST_HOUR, params)))
    refused, all_samples = next(iter(client.query(_REFUSED, params)))
    newest, first = next(iter(client.query(_SPAN, params)))
    return Pulse(
        newest_event_at=int(newest) // 1000 if newest else None,
        history_days=int((now_ms - first) // 86_400_000) if newest else 0,
        minutes=[minute * 60 for minute in range(end - minutes, end)],
        per_second=[round(counts.get(minute, 0) / 60, 3) for minute in range(end - minutes, end)],
        channels=by_channel,
        late=float(late),
        rejected=refused / all_samples if all_samples else 0.0,
        revenue=float(revenue) if orders else None,
    )


_RECEIVED = """project_id = {project:UInt32}
    AND received_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC')) - INTERVAL 1 DAY"""
_HOUR = """project_id = {project:UInt32} AND received_at >= fromUnixTimestamp64Milli({hour:Int64}, 'UTC')
    AND received_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({hour:Int64}, 'UTC')) - INTERVAL 1 DAY"""

_BY_MINUTE = f"""
    SELECT toInt64(intDiv(toUnixTimestamp64Milli(received_at), 60000)) AS minute, count() FROM events
    WHERE {_RECEIVED} GROUP BY minute"""
_BY_CHANNEL = f"SELECT channel, count() FROM events WHERE {_HOUR} GROUP BY channel"
_LAST_HOUR = f"""
    SELECT ifNotFinite(countIf(dateDiff('second', ts, received_at) > 60) / count(), 0.),
        toFloat64(ifNull(sumIf(value, name = 'purchase' AND NOT test AND NOT bot AND currency = {{currency:String}} AND channel != 'server'), 0)),
        countIf(name = 'purchase' AND NOT test)
    FROM events WHERE {_HOUR}"""
_REFUSED = """
    SELECT countIf(outcome != 'accepted'), count() FROM ingest_recent
    WHERE project_id = {project:UInt32} AND at >= fromUnixTimestamp64Milli({hour:Int64}, 'UTC')"""
_SPAN = """
    SELECT if(count() = 0, 0, toUnixTimestamp64Milli(max(received_at))), if(count() = 0, 0, toUnixTimestamp64Milli(min(ts)))
    FROM events WHERE project_id = {project:UInt32}"""
