"""Message ids that were already stored, kept for `dedup_hours` in one table a day, so that forgetting is dropping a table.

Ids are 63-bit hashes of project and message id: with 100 million in the window a new event is taken for a repeat once in
10^11 events. Each question is one statement, because SQLite lets go of the GIL at each row it hands over.
"""

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


def digest(project_id: int, message_id: str) -> int:
    """The hash an event is remembered by: 63 bits, so that it fits SQLite's row id."""
    text = b"%d:%b" % (project_id, message_id.encode(errors="surrogatepass"))
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1


def repeats(connection: sqlite3.Connection, digests: Sequence[int], now_ms: int, keep_hours: int) -> set[int]:
    """Which digests were remembered within the last `keep_hours`."""
    oldest = (now_ms - keep_hours * _HOUR_MS) // _DAY_MS
    tables = [table for day, table in _tables(connection) if day >= oldest]
    if not tables:
        return set()
    known = " OR ".join(f"value IN {table}" for table in tables)
    (found,) = connection.execute(f"SELECT json_group_array(value) FROM json_each(?) WHERE {known}", (_json(digests),)).fetchone()
    return set(msgspec.json.decode(found))


def remember(connection: sqlite3.Connection, digests: Sequence[int], now_ms: int) -> None:
    """Add digests under today. Part of the caller's transaction."""
    table = f"seen_{now_ms // _DAY_MS}"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY)")
    # Sorted, so that a block touches each page of the tree once.
    connection.execute(f"INSERT OR IGNORE INTO {table} SELECT value FROM json_each(?)", (_json(sorted(digests)),))


def forget(connection: sqlite3.Connection, now_ms: int, keep_hours: int) -> None:
    """Drop the days that lie wholly before the window."""
    oldest = (now_ms - keep_hours * _HOUR_MS) // _DAY_MS
    for day, table in _tables(connection):
        if day < oldest:
            connection.execute(f"DROP TABLE {table}")


def _tables(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'seen_*'").fetchall()
    return [(int(name.removeprefix("seen_")), name) for (name,) in rows]


def _json(digests: Sequence[int]) -> str:
    return msgspec.json.encode(digests).decode()
