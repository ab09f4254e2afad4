"""Does the SDK see what the shop sells? Browser purchases against server-side orders, order by order."""

from typing import Any

from funnelwatch.core.stats import rates
from funnelwatch.store.client import Client
from funnelwatch.store.session_sql import ORDER_TWIN_MS

#: What coverage is cut by: tracking is lost by browser, by consent, by the traffic source's own blocking.
DIMENSIONS = ("browser", "consent", "source")

_FROM, _TO = "fromUnixTimestamp64Milli({from:Int64}, 'UTC')", "fromUnixTimestamp64Milli({to:Int64}, 'UTC')"
_READ_FROM, _READ_TO = (f"fromUnixTimestamp64Milli({edge}, 'UTC')" for edge in ("{from:Int64} - {twin:Int64}", "{to:Int64} + {twin:Int64}"))
_READ = f"""project_id = {{project:UInt32}} AND NOT test AND NOT bot AND ts >= {_READ_FROM} AND ts < {_READ_TO}
    AND toStartOfHour(ts) >= toStartOfHour({_READ_FROM}) AND toStartOfHour(ts) <= toStartOfHour({_READ_TO})"""
#: What an order has in common with the visit before it.
_KEYS = "arrayFilter(k -> k.2 != '', [('visitor', visitor_id), ('user', user_id), ('session', session_id), ('order', if(name = 'purchase', order_id, ''))])"
#: Session ids may be seconds (GA4's are), which strangers share: they count where nothing else says who it was.
_ORDER_KEYS = "arrayFilter(k -> k.1 != 'session' OR NOT arrayExists(x -> x.1 IN ('visitor', 'user'), all_keys), all_keys)"
#: A browser's word comes before a server's, the order's own before that of the visit before it, the latest first.
_NEAREST = "argMaxIf({name}, (channel != 'server', key.1 = 'order', ts), {name} != '')"
#: What the visit began with: the payment provider that sends a buyer back would else be the source of those who are seen.
_FIRST = "argMinIf({name}, (channel = 'server', ts), {name} != '')"


def meter(client: Client, project_id: int, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Orders with `from_ms <= ts < to_ms` (epoch ms): `{dimension, value, server, both, browser_only, coverage, interval}`.

    An order's time is the server's, else the browser's; its twin may lie up to ORDER_TWIN_MS away. `coverage` is the share of server-side
    orders the browser reported too, None without server orders; `interval` its 95 % interval. The first row (dimension "") is all
    orders. An order's dimensions are its own and those of the same visitor, user or session in the ORDER_TWIN_MS before it; "" is
    unknown. Raises StoreError, StoreUnavailable.
    """
    values = ", ".join(f"{(_FIRST if name == 'source' else _NEAREST).format(name=name)} AS of_{name}" for name in DIMENSIONS)
    cuts = ", ".join(f"('{name}', toString(of_{name}))" for name in DIMENSIONS)
    rows = client.query(
        f"""
        WITH orders AS (
            SELECT order_id AS o_id, max(channel = 'server') AS by_server, max(channel != 'server') AS by_browser,
                if(by_server, minIf(ts, channel = 'server'), min(ts)) AS at, groupUniqArrayArray({_KEYS}) AS all_keys, {_ORDER_KEYS} AS keys
            FROM events WHERE {_READ} AND name = 'purchase' AND order_id != ''
            GROUP BY o_id HAVING at >= {_FROM} AND at < {_TO}
        ), ids AS (SELECT arrayJoin(keys).2 FROM orders)
        SELECT cut.1 AS dimension, cut.2 AS value, toInt64(countIf(server_side)) AS server,
            toInt64(countIf(server_side AND seen)) AS both, toInt64(countIf(NOT server_side)) AS browser_only
        FROM (
            SELECT o_id, any(by_server) AS server_side, any(by_browser) AS seen, {values}
            FROM (
                SELECT ts, channel, {", ".join(DIMENSIONS)}, arrayJoin({_KEYS}) AS key FROM events
                WHERE {_READ} AND (visitor_id IN ids OR user_id IN ids OR session_id IN ids OR order_id IN ids)
            ) AS visits
            INNER JOIN (SELECT o_id, by_server, by_browser, at, arrayJoin(keys) AS key FROM orders) AS bought USING (key)
            WHERE key.1 = 'order' OR ts <= at AND ts >= at - toIntervalMillisecond({{twin:Int64}})
            GROUP BY o_id
        ) ARRAY JOIN [('', ''), {cuts}] AS cut
        GROUP BY dimension, value ORDER BY dimension, server DESC, value
        """,
        {"project": project_id, "from": from_ms, "to": to_ms, "twin": ORDER_TWIN_MS},
    )
    return [
        {**row, "coverage": row["both"] / row["server"] if row["server"] else None,
         "interval": rates.wilson(row["both"], row["server"])}
        for row in rows.dicts()
    ]  # fmt: skip
