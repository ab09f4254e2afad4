"""Which minutes newly stored events may have changed."""

from typing import NamedTuple

from funnelwatch.store.client import Client
from funnelwatch.store.queries.journey import ACTOR

#: An insert is visible a little after the time it stamps its rows with; looking back this far again is harmless.
OVERLAP_MS = 30_000


class Dirty(NamedTuple):
    """Epoch minutes to roll up again, ascending, and the watermark (epoch ms) to ask from next time."""

    minutes: list[int]
    watermark: int


def minutes(client: Client, project_id: int, since_ms: int) -> Dirty:
    """Minutes that events stored after `since_ms` (our store's clock) may have changed.

    An event changes nothing before itself: arrivals, dimensions, session cuts and "returning" look back only. So these are
    the minutes of its visitor's events from it on. A server's order goes by its twin in the browser: where that one's session is
    cut anew, so is everything from the earlier of the two on.
    """
    params = {"project": project_id, "since": since_ms - OVERLAP_MS}
    rows = client.query(
        f"""
        WITH fresh AS (
            SELECT {ACTOR} AS actor, ts, order_id FROM events
            WHERE project_id = {{project:UInt32}} AND inserted_at > fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')
        ),
        orders AS (
            SELECT order_id, min(ts) AS first, groupUniqArray({ACTOR}) AS actors FROM events
            WHERE {_ORDERS} AND order_id IN (
                SELECT order_id FROM fresh WHERE order_id != ''
                UNION DISTINCT
                SELECT order_id FROM events INNER JOIN (SELECT actor, min(ts) AS since FROM fresh GROUP BY actor) AS seen
                    ON {ACTOR} = seen.actor WHERE {_ORDERS} AND ts >= seen.since
            ) GROUP BY order_id
        ),
        touched AS (
            SELECT actor, min(first) AS first FROM (
                SELECT actor, min(ts) AS first FROM fresh GROUP BY actor
                UNION ALL
                SELECT arrayJoin(actors) AS actor, first FROM orders
            ) GROUP BY actor
        )
        SELECT DISTINCT toInt64(intDiv(toUnixTimestamp64Milli(ts), 60000)) AS minute
        FROM events INNER JOIN touched ON {ACTOR} = touched.actor
        WHERE project_id = {{project:UInt32}} AND ts >= touched.first
          AND toStartOfHour(ts) >= (SELECT toStartOfHour(min(first)) FROM touched)
        ORDER BY minute
        """,
        params,
    )
    newest = client.query(
        "SELECT toUnixTimestamp64Milli(max(inserted_at)) FROM events WHERE project_id = {project:UInt32}", params
    ).scalar()
    return Dirty([minute for (minute,) in rows], max(int(newest), since_ms))


_ORDERS = "project_id = {project:UInt32} AND name = 'purchase' AND order_id != ''"
