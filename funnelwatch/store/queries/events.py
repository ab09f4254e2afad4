"""Raw events: write them, and ask which are there."""

import time
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from funnelwatch.core import retention
from funnelwatch.core.events import Event
from funnelwatch.store.client import Client
from funnelwatch.store.native import Column

_PLAIN = tuple(name for name in Event.__struct_fields__ if name != "items")
_DAY_MS = 86_400_000
_NO_TIERS: Mapping[int, int] = {}
ITEM_FIELDS = ("item_sku", "item_category", "item_quantity", "item_price")
#: The order of an event's values in a spooled line.
LINE_FIELDS = (*_PLAIN, *ITEM_FIELDS)
_BETWEEN = """project_id = {project:UInt32}
    AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
    AND toStartOfHour(ts) <= toStartOfHour(fromUnixTimestamp64Milli({to:Int64}, 'UTC'))"""
_LINE_COLUMNS = tuple({"ts": "ts_ms", "received_at": "received_ms"}.get(name, name) for name in LINE_FIELDS)


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


class Line(NamedTuple):
    """A spooled event: its JSON array of `LINE_FIELDS` with the line's end, and what has to be known of it."""

    text: bytes
    project_id: int
    message_id: str
    ts: int


def insert_lines(client: Client, lines: Sequence[Line], token: str, tiers: Mapping[int, int] = _NO_TIERS) -> None:
    """As `insert_columns`, for lines: the engine reads them, so an event costs the interpreter nothing."""
    now = time.time() * 1000
    days = [_days(line, tiers, now) for line in lines]
    if len(set(days)) == 1:
        text = b"".join([line.text for line in lines]).replace(b"]\n", b",%d]\n" % days[0])
    else:
        text = b"".join([line.text[:-2] + b",%d]\n" % kept for line, kept in zip(lines, days, strict=True)])
    client.insert_lines("events", (*_LINE_COLUMNS, "retention_days"), text, token)


def _days(line: Line, tiers: Mapping[int, int], now: float) -> int:
    days = tiers.get(line.project_id, retention.DEFAULT)
    return retention.IMPORTED if line.ts < now - days * _DAY_MS else days


def columns_of(events: Sequence[Event]) -> dict[str, Column]:
    """The columns of `events` from row objects."""
    columns: dict[str, Column] = {name: list(map(attrgetter(name), events)) for name in _PLAIN}
    items = [event.items for event in events]
    columns["item_sku"] = [[item.sku for item in row] for row in items]
    columns["item_category"] = [[item.category for item in row] for row in items]
    columns["item_quantity"] = [[item.quantity for item in row] for row in items]
    columns["item_price"] = [[item.price for item in row] for row in items]
    return columns


def store_clock(client: Client) -> int:
    """What the store dates insertions by, epoch milliseconds: its own clock, simulated time or not."""
    return int(client.query("SELECT toUnixTimestamp64Milli(now64(3))").scalar())


def is_empty(client: Client, project_id: int, ts_from: int, ts_to: int, before: int) -> bool:
    """Whether nothing stored before `before` (see `store_clock`) lies in `ts_from <= ts <= ts_to` (epoch milliseconds)."""
    sql = f"SELECT count() FROM events WHERE {_BETWEEN} AND inserted_at < fromUnixTimestamp64Milli({{before:Int64}}, 'UTC')"
    return not client.query(sql, {"project": project_id, "from": ts_from, "to": ts_to, "before": before}).scalar()


def existing_ids(client: Client, project_id: int, ids: Sequence[str], ts_from: int, ts_to: int) -> set[str]:
    """Which of the message ids are stored with `ts_from <= ts <= ts_to` (epoch milliseconds). Reads only those hours."""
    found = client.query(
        f"SELECT groupUniqArray(message_id) FROM events WHERE {_BETWEEN} AND message_id IN {{ids:Array(String)}}",
        {"project": project_id, "ids": list(ids), "from": ts_from, "to": ts_to},
    )
    return set(found.scalar())
