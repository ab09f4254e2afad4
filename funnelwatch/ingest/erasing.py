"""Erasing what the spool still holds. Stored events lie on in its files, because a segment is removed only as a whole.

Rows the drain has gone past are never read again, so they are emptied in place, whoever wrote the file and still does.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import msgspec

from funnelwatch.core import clock
from funnelwatch.ingest import segments
from funnelwatch.ingest.draft import FIELDS
from funnelwatch.ingest.ledger import FILE_NAME
from funnelwatch.ingest.status import read_status

#: Whether an event, as a mapping of FIELDS, is one to erase.
Mine = Callable[[dict[str, Any]], bool]

_BUSY_SECONDS = 10.0
#: Nodes' clocks may differ by so much.
_SKEW_MS = 1_000


class StillBusy(Exception):
    """A file of the spool could not be cleaned, because it is in use; the message names it."""


def waiting(directory: Path, at: int) -> bool:
    """Whether events spooled before `at` (epoch ms) are not in the store yet, where alone they can be found whoever's they are."""
    status = read_status(directory)
    return bool(status.waiting_events) and clock.now_ms() - status.lag_seconds * 1000 <= at + _SKEW_MS


def lying(directory: Path, mine: Mine) -> int:
    """Events to erase that lie in the spool's files, stored or not, and among those set aside."""
    found = 0
    for segment in segments.list_segments(directory):
        with _open(segment.path) as connection:
            for (lines,) in connection.execute("SELECT events FROM entries") if connection else ():
                found += sum(mine(event) for event in _events(lines))
    return found + len(_set_aside(directory, mine))


def clean(directory: Path, mine: Mine) -> None:
    """Empty the rows that are stored already, and drop set-aside events to erase. Raises StillBusy; calling again completes the work."""
    cursors = _cursors(directory)
    for segment in segments.list_segments(directory):
        with _open(segment.path) as connection:
            if connection:
                connection.execute("UPDATE entries SET events = x'', recent = x'' WHERE id <= ?", (cursors.get(segment.name, 0),))
                _flush(connection, segment.path)
    rows = _set_aside(directory, mine)
    with _open(directory / FILE_NAME) as ledger:
        if ledger and rows:
            ledger.executemany("DELETE FROM poison WHERE id = ?", [(row,) for row in rows])
            _flush(ledger, directory / FILE_NAME)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The file for reading and writing, deleted content overwritten; None when it is gone."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    except sqlite3.OperationalError:
        if path.exists():
            raise
        yield None
        return
    with closing(connection):
        connection.execute("PRAGMA secure_delete = ON")
        yield connection


def _flush(connection: sqlite3.Connection, path: Path) -> None:
    """Move the journal into the file and cut it to nothing: the old content is in it too."""
    give_up = monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if monotonic() > give_up:
            raise StillBusy(f"{path} is in use: run it again")
        sleep(0.05)


def _cursors(directory: Path) -> dict[str, int]:
    with _open(directory / FILE_NAME) as ledger:
        return dict(ledger.execute("SELECT segment, row FROM cursors")) if ledger else {}


def _set_aside(directory: Path, mine: Mine) -> list[int]:
    with _open(directory / FILE_NAME) as ledger:
        rows = ledger.execute("SELECT id, line FROM poison").fetchall() if ledger else []
    return [row for row, line in rows if any(map(mine, _events(line.encode())))]


def _events(lines: bytes) -> Iterator[dict[str, Any]]:
    """The events of spooled lines, damaged ones left out: whose they are cannot be told."""
    for line in filter(None, lines.split(b"\n")):
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        yield dict(zip(FIELDS, event, strict=False)) if isinstance(event, list) else event
