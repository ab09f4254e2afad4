"""The spool's files: where they lie, whose they are, when they may go.

`DIR/<owner>-<number>.sqlite` are segments, written by one process and never changed after; `DIR/<owner>.lock` is locked for as long
as that process lives. A drained segment is removed whole, which is cheaper than deleting rows beside a writer.
"""

import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,      -- epoch milliseconds of the write
    total INTEGER NOT NULL,   -- events in this segment up to and with this row
    events BLOB NOT NULL,     -- drafts, one JSON array a line
    recent BLOB NOT NULL,     -- sample for the live view, JSON lines
    drops BLOB NOT NULL       -- [project, reason] a line
)
"""


class Segment(NamedTuple):
    """One spool file. Names sort by owner, then by age."""

    path: Path
    owner: str

    @property
    def name(self) -> str:
        """Identity in cursors and deduplication tokens."""
        return self.path.stem

    def size(self) -> int:
        """Bytes on disk with its journal; 0 once gone."""
        return sum(_size(path) for path in self._files())

    def remove(self) -> None:
        """Delete it with its journal."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> tuple[Path, ...]:
        return (self.path, self.path.with_name(self.path.name + "-wal"), self.path.with_name(self.path.name + "-shm"))


def create(directory: Path, owner: str, number: int) -> sqlite3.Connection:
    """A new segment open for writing. It stays in its journal for good: nothing is written twice, and a full disk is not met
    while moving things about."""
    connection = open_durable(directory / f"{owner}-{number:08d}.sqlite", _SCHEMA)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def open_durable(path: Path, schema: str) -> sqlite3.Connection:
    """A database whose every commit is on the disk when it returns, made with `schema` where there is none."""
    if not path.exists():
        unfinished = path.with_suffix(".new")  # gets its name when it has its tables, so that no reader meets it without
        unfinished.unlink(missing_ok=True)
        connection = sqlite3.connect(unfinished, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(schema)
        connection.close()
        unfinished.rename(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def list_segments(directory: Path) -> list[Segment]:
    """All segments, oldest first within each owner."""
    return [Segment(path, path.stem.rsplit("-", 1)[0]) for path in sorted(directory.glob("*-*.sqlite"))]


def hold_lock(path: Path) -> BinaryIO | None:
    """The open, locked file; None when another process (or another part of this one) holds it. Closing it lets go."""
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    # The file may have been removed by a former holder between our open and our lock.
    if not path.exists() or os.fstat(handle.fileno()).st_ino != path.stat().st_ino:
        handle.close()
        return hold_lock(path)
    return handle


def owner_lock(directory: Path, owner: str) -> Path:
    """The file whose lock says that `owner` lives."""
    return directory / f"{owner}.lock"


def node(directory: Path) -> str:
    """Who this spool is, for as long as its disk lives, whatever process or container works on it."""
    path = directory / "node"
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.write_text(uuid.uuid4().hex)
        unfinished.rename(path)
    return path.read_text()


def close_as_is(connection: sqlite3.Connection) -> None:
    """Close without moving the journal into the file, which the last connection to close does unless it may only read."""
    (_, _, path), *_ = connection.execute("PRAGMA database_list").fetchall()
    with reading(Segment(Path(path), "")):
        connection.close()


@contextmanager
def reading(segment: Segment) -> Iterator[sqlite3.Connection]:
    """A connection for reading beside the writer."""
    connection = sqlite3.connect(f"file:{quote(str(segment.path))}?mode=ro", uri=True, isolation_level=None, timeout=10)
    try:
        connection.execute("SELECT 1 FROM entries LIMIT 1").fetchone()  # only now is the file really open
        yield connection
    finally:
        connection.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
