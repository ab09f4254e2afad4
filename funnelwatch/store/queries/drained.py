"""Up to when everything that was received is in the store: each node's drain says so, and nothing later is judged.

Without it a store that was away for some minutes would look like a shop nobody visits.
"""

from funnelwatch.store.client import Client
from funnelwatch.store.queries import states

_PREFIX, _VERSION = "drained:", 1
#: A node that has said nothing for so long is gone, with its disk: its word no longer holds the others up.
GONE_AFTER_MS = 3_600_000


def save(client: Client, node: str, at: int) -> None:
    """All that `node` received before `at` (epoch ms) is stored."""
    states.save(client, 0, "", _PREFIX + node, _VERSION, at, b"")


def nodes(client: Client, now: int) -> list[str]:
    """The nodes whose drain has said something in the last hour before `now` (epoch ms)."""
    rows = client.query(
        """
        SELECT substring(name, length({prefix:String}) + 1) AS node FROM detector_states
        WHERE project_id = 0 AND startsWith(name, {prefix:String}) AND version = {version:UInt32}
        GROUP BY node HAVING toUnixTimestamp64Milli(max(at)) > {since:Int64} ORDER BY node
        """,
        {"prefix": _PREFIX, "version": _VERSION, "since": now - GONE_AFTER_MS},
    )
    return list(rows.columns[0])


def until(client: Client, now: int) -> int | None:
    """All that was received before this (epoch ms) is stored, on every node; None where no node has said anything."""
    at = client.query(
        """
        SELECT min(newest) FROM (
            SELECT toUnixTimestamp64Milli(max(at)) AS newest FROM detector_states
            WHERE project_id = 0 AND startsWith(name, {prefix:String}) AND version = {version:UInt32} GROUP BY name
            HAVING newest > {since:Int64}
        )
        """,
        {"prefix": _PREFIX, "version": _VERSION, "since": now - GONE_AFTER_MS},
    ).scalar()
    return int(at) or None

