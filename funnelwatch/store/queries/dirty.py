"""Which minutes newly stored events may have changed."""

from typing import NamedTuple

from funnelwatch.store.client import Client
from funnelwatch.store.session_sql import ACTOR, ORDER_TWIN_MS, OWNER

#: An insert is visible a little after the time it stamps its rows with, so this far before a mark rows may still turn up.
OVERLAP_MS = 30_000


class Mark(NamedTuple):
    """How far a roll-up has come: the store's time (epoch ms), and a checksum of the rows stored in the OVERLAP_MS up to it.

    While the checksum holds nothing has turned up there, and they need no second look: an import stores 400,000 events in that time.
    """

    at: int = 0
    checksum: int = 0


class Dirty(NamedTuple):
    """Epoch minutes to roll up again, ascending, and the mark to ask from next time."""

    minutes: list[int]
    mark: Mark


def minutes(client: Client, project_id: int, mark: Mark, across_devices: bool = False) -> Dirty:
    """Minutes that events stored after `mark` may have changed; `across_devices`, in funnels counted by visitor too.

    An event changes nothing before itself: arrivals, dimensions, session cuts and "returning" look back only. So these are
    the minutes of its visitor's events from it on. A server's order goes by its twin in the browser: where that one's session is
    cut anew, so is everything from the earlier of the two on. Across devices it is also the events of every user its visitor is, or
    becomes, wherever they are: their session may begin with it.

    Reads what was stored since, and the hours from the earliest touched event on: nothing new costs the same whatever the history.
    """
    since = mark.at if mark.checksum == _checksum(client, project_id, mark.at) else mark.at - OVERLAP_MS
    params: dict[str, object] = {"project": project_id, "since": since, "twin": ORDER_TWIN_MS}
    ((count, first, last, newest),) = client.query(
        f"SELECT count(), {_MS.format('min(ts)')}, {_MS.format('max(ts)')}, {_MS.format('max(inserted_at)')} FROM events WHERE {_FRESH}",
        params,
    )
    if not count:
        return Dirty([], mark)
    touched = _TOUCHED_ACROSS if across_devices else _TOUCHED
    following = Mark(int(newest), _checksum(client, project_id, int(newest)))  # before the minutes: what turns up in between is seen next time
    params |= {"first": first, "last": last}
    params["touched_from"] = client.query(f"WITH {touched} SELECT {_MS.format('min(first)')} FROM touched", params).scalar()
    rows = client.query(
        f"""
        WITH {touched}
        SELECT DISTINCT toInt64(intDiv({_MS.format("ts")}, 60000)) AS minute
        FROM events ARRAY JOIN {_WHOSE if across_devices else _WHO} AS whose INNER JOIN touched ON whose = touched.actor
        WHERE {_FROM.format("{touched_from:Int64}")} AND ts >= touched.first
        ORDER BY minute
        """,
        params,
    )
    return Dirty([minute for (minute,) in rows], following)


def _checksum(client: Client, project_id: int, at: int) -> int:
    """Of the rows stored in the OVERLAP_MS up to `at`; other rows turning up or going in a merge change it."""
    sql = f"SELECT sum(cityHash64(message_id, inserted_at)) FROM events WHERE {_FRESH} AND inserted_at <= {_AT.format('{at:Int64}')}"
    return int(client.query(sql, {"project": project_id, "since": at - OVERLAP_MS, "at": at}).scalar())


_MS = "toUnixTimestamp64Milli({})"
_AT = "fromUnixTimestamp64Milli(toInt64({}), 'UTC')"
_FRESH = "project_id = {project:UInt32} AND inserted_at > " + _AT.format("{since:Int64}")
_FROM = "project_id = {{project:UInt32}} AND toStartOfHour(ts) >= toStartOfHour(" + _AT + ")"
#: Orders as far around as a roll-up looks for their twins; later ones may be of a session that began with the event.
_ORDERS = f"""{_FROM.format("{first:Int64} - {twin:Int64}")} AND ts <= {_AT.format("{last:Int64} + 2 * {twin:Int64}")}
    AND name = 'purchase' AND order_id != ''"""
#: Who an event touches: its device, and across devices its user as well.
_WHO = f"[{ACTOR}]"
_WHOSE = f"arrayDistinct([{ACTOR}, {OWNER}])"


def _touched(who: str, users: str = "") -> str:
    return f"""
    fresh AS (SELECT {ACTOR} AS actor, ts, order_id FROM events WHERE {_FRESH}),
    seen AS (SELECT actor, min(ts) AS since FROM fresh GROUP BY actor),
    moved AS (SELECT actor, since FROM seen{users}),
    orders AS (
        SELECT order_id, min(ts) AS first, groupUniqArrayArray({who}) AS actors FROM events
        WHERE {_ORDERS} AND order_id IN (
            SELECT order_id FROM fresh WHERE order_id != ''
            UNION DISTINCT
            SELECT order_id FROM events ARRAY JOIN {who} AS whose INNER JOIN moved ON whose = moved.actor WHERE {_ORDERS} AND ts >= moved.since
        ) GROUP BY order_id
    ),
    touched AS (
        SELECT actor, min(first) AS first FROM (
            SELECT actor, since AS first FROM moved
            UNION ALL
            SELECT arrayJoin(actors) AS actor, first FROM orders
        ) GROUP BY actor
    )"""


_TOUCHED = _touched(_WHO)
_TOUCHED_ACROSS = _touched(
    _WHOSE,
    f"""
        UNION ALL
        SELECT user_id AS actor, min(ts) AS since FROM events INNER JOIN seen ON {ACTOR} = seen.actor
        WHERE {_FROM.format("{first:Int64}")} AND user_id != '' AND ts >= seen.since GROUP BY actor""",
)
