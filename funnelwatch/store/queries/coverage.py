"""Does the SDK see what the shop sells? Browser purchases against server-side orders, order by order."""

from typing import Any

from funnelwatch.core.stats import rates
from funnelwatch.store.client import Client

#: What coverage is cut by: tracking is lost by browser, by consent, by the traffic source's own blocking.
DIMENSIONS = ("browser", "consent", "source")


def meter(client: Client, project_id: int, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Orders with `from_ms <= ts < to_ms` (epoch ms): `{dimension, value, server, both, browser_only, coverage, interval}`.

    `coverage` is the share of server-side orders the browser reported too, None without server orders. The first row (dimension "")
    is all orders. An order's dimensions are the browser's where it reported, else what the server sent; "" is unknown.
    """
    pairs = ", ".join(f"('{name}', {name})" for name in DIMENSIONS)
    values = ", ".join(
        f"if(argMaxIf({name}, ts, channel != 'server') != '', argMaxIf({name}, ts, channel != 'server'), "
        f"argMax(toString({name}), ts)) AS {name}"
        for name in DIMENSIONS
    )
    rows = client.query(
        f"""
        SELECT cut.1 AS dimension, cut.2 AS value, toInt64(countIf(by_server)) AS server,
            toInt64(countIf(by_server AND by_browser)) AS both, toInt64(countIf(NOT by_server)) AS browser_only
        FROM (
            SELECT order_id, max(channel = 'server') AS by_server, max(channel != 'server') AS by_browser, {values}
            FROM (SELECT order_id, channel, ts, {", ".join(f"toString({name}) AS {name}" for name in DIMENSIONS)} FROM events
                WHERE project_id = {{project:UInt32}} AND name = 'purchase' AND order_id != '' AND NOT test AND NOT bot
                  AND ts >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') AND ts < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC')
                  AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({{from:Int64}}, 'UTC')))
            GROUP BY order_id
        ) ARRAY JOIN [('', ''), {pairs}] AS cut
        GROUP BY dimension, value ORDER BY dimension, server DESC, value
        """,
        {"project": project_id, "from": from_ms, "to": to_ms},
    )
    return [
        {**row, "coverage": row["both"] / row["server"] if row["server"] else None,
         "interval": rates.wilson(row["both"], row["server"])}
        for row in rows.dicts()
    ]  # fmt: skip
