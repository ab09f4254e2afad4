"""Raw events: write them, and ask which are there."""

import time
from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np

from funnelwatch.core import retention
from funnelwatch.core.events import Event
from funnelwatch.store.client import Client
from funnelwatch.store.native import Column

_PLAIN = tuple(name for name in Event.__struct_fields__ if name != "items")
_DAY_MS = 86_400_000
_NO_TIERS: Mapping[int, int] = {}


def insert(client: Client, events: Sequence[Event], token: str, tiers: Mapping[int, int] = _NO_TIERS) -> None:
    """Insert events as one block; the same token again changes nothing. Raises StoreError, StoreUnavailable."""
    if events:
        insert_columns(client, columns_of(events), token, tiers)


def insert_columns(client: Client, columns: Mapping[str, Column], token: str, tiers: Mapping[int, int] = _NO_TIERS) -> None:
    """Insert events given as columns (names of `events`; times in epoch milliseconds), for bulk import.

    `tiers` are the days projects keep events for, `retention.DEFAULT` where absent. What is already older can only come from an
    import, and stays until it is erased.
    """
    days = np.array([tiers.get(project, retention.DEFAULT) for project in columns["project_id"]], dtype=np.int64)
    # the engine expires rows by the system's clock, so that clock decides here too, simulated or not
    too_old = np.asarray(columns["ts"]) < time.time() * 1000 - days * _DAY_MS
    client.insert("events", {**columns, "retention_days": np.where(too_old, retention.IMPORTED, days)}, token)


def columns_of(events: Sequence[Event]) -> dict[str, Column]:
    """The columns of `events` from row objects."""
    columns: dict[str, Column] = {name: list(map(attrgetter(name), events)) for name in _PLAIN}
    items = [event.items for event in events]
    columns["item_sku"] = [[item.sku for item in row] for row in items]
    columns["item_category"] = [[item.category for item in row] for row in items]
    columns["item_quantity"] = [[item.quantity for item in row] for row in items]
    columns["item_price"] = [[item.price for item in row] for row in items]
    return columns


def existing_ids(client: Client, project_id: int, ids: Sequence[str], ts_from: int, ts_to: int) -> set[str]:
    """Which of the message ids are stored with `ts_from <= ts <= ts_to` (epoch milliseconds). Reads only those hours."""
    rows = client.query(
        """
        SELECT DISTINCT message_id FROM events
        WHERE project_id = {project:UInt32} AND message_id IN {ids:Array(String)}
          AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
          AND toStartOfHour(ts) <= toStartOfHour(fromUnixTimestamp64Milli({to:Int64}, 'UTC'))
        """,
        {"project": project_id, "ids": list(ids), "from": ts_from, "to": ts_to},
    )
    return set(rows.columns[0])
