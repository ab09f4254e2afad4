"""What the drain remembers on disk: how far each segment is drained, the block under way, counts of drops, events set aside."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from funnelwatch.core import clock
from funnelwatch.ingest import seen
from funnelwatch.ingest.segments import open_durable

FILE_NAME = "drain.sqlite"

_SCHEMA = """
CREATE TABLE cursors (segment TEXT PRIMARY KEY, row INTEGER NOT NULL, total INTEGER NOT NULL);
CREATE TABLE block (
    segment TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, total INTEGER NOT NULL,
    repeats TEXT NOT NULL,             -- positions left out because their message id was stored before
    split INTEGER NOT NULL DEFAULT 0   -- the store refused it as a whole: its parts go in under tokens of their own
);
CREATE TABLE drops (project_id INTEGER, reason TEXT, count INTEGER NOT NULL, PRIMARY KEY (project_id, reason));
CREATE TABLE poison (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, reason TEXT NOT NULL, line TEXT NOT NULL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL);  -- "stored" and "repeats", and "stored:7" of project 7
"""


class Poison(NamedTuple):
    """An event that cannot be read or stored, as JSON, and why."""

    project_id: int
    line: str
    reason: str


class Block(NamedTuple):
    """Rows `first` to `last` of a segment on their way into the store. Decided and committed before the first insert, so a
    repetition after a crash sends the very same events under the very same token."""

    segment: str
    first: int
    last: int
    total: int  # events of the segment up to and with `last`
    repeats: frozenset[int]
    split: bool = False

    @property
    def token(self) -> str:
        """The store ignores a block it has seen under this token."""
        return f"{self.segment}:{self.first}-{self.last}"


class Ledger:
    """Owned by the one drain of the node (its lock is held by the caller)."""

    def __init__(self, directory: Path) -> None:
        self._connection = open_durable(directory / FILE_NAME, _SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def cursor(self, segment: str) -> tuple[int, int]:
        """(last drained row, events up to it) of a segment."""
        return self._connection.execute("SELECT row, total FROM cursors WHERE segment = ?", (segment,)).fetchone() or (0, 0)

    def unfinished(self) -> Block | None:
        """The block a former run had begun."""
        row = self._connection.execute("SELECT segment, first, last, total, repeats, split FROM block").fetchone()
        if row is None:
            return None
        segment, first, last, total, repeats, split = row
        return Block(segment, first, last, total, frozenset(msgspec.json.decode(repeats)), bool(split))

    def begin(self, segment: str, first: int, last: int, total: int, digests: list[int], keep_hours: int) -> Block:
        """Decide which events of the rows are repeats, remember the rest, and commit to the block. `digests` one an event."""
        now = clock.now_ms()
        connection = self._connection
        with _transaction(connection):
            known = seen.repeats(connection, digests, now, keep_hours)
            repeats, fresh = _split_repeats(digests, known)
            seen.remember(connection, fresh, now)
            seen.forget(connection, now, keep_hours)
            written = msgspec.json.encode(repeats).decode()
            connection.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?, 0)", (segment, first, last, total, written))
        return Block(segment, first, last, total, frozenset(repeats))

    def mark_split(self, block: Block) -> Block:
        """From now on the block goes in by parts, after a restart too."""
        self._connection.execute("UPDATE block SET split = 1")
        return block._replace(split=True)

    def finish(
        self, block: Block, drops: Counter[tuple[int, str]], stored: Counter[int], repeats: Counter[int], poison: Sequence[Poison]
    ) -> None:
        """The block is in the store: move the cursor, count (`stored` and `repeats` by project), keep what was set aside."""
        counts = {"stored": stored, "repeats": repeats}
        drops = drops + Counter((event.project_id, "poison") for event in poison)
        connection = self._connection
        with _transaction(connection):
            connection.execute("DELETE FROM block")
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (block.segment, block.last, block.total))
            connection.executemany(
                "INSERT INTO poison (at, reason, line) VALUES (?, ?, ?)", [(clock.now_ms(), event.reason[:1000], event.line) for event in poison]
            )
            connection.executemany(
                "INSERT INTO drops VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(project, reason, count) for (project, reason), count in drops.items()],
            )
            connection.executemany(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [
                    *((name, by_project.total()) for name, by_project in counts.items()),
                    *((f"{name}:{project}", count) for name, by_project in counts.items() for project, count in by_project.items()),
                ],
            )

    def forget_segment(self, segment: str) -> None:
        """The segment's file is gone for good."""
        self._connection.execute("DELETE FROM cursors WHERE segment = ?", (segment,))


class _transaction:
    """All or nothing, also when the disk is full in the middle."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _split_repeats(digests: list[int], known: set[int]) -> tuple[list[int], list[int]]:
    """Positions of repeats (of former blocks or within this one), and the digests that are new."""
    if not known and len(set(digests)) == len(digests):
        return [], digests
    met, repeats = set(known), []
    for position, digest in enumerate(digests):
        if digest in met:
            repeats.append(position)
        met.add(digest)
    return repeats, list(met - known)
