"""Spool to event store, in blocks, exactly once in effect. One thread of one process a node drains all spools of the directory."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

import msgspec

from funnelwatch import config
from funnelwatch.core import clock
from funnelwatch.ingest import segments
from funnelwatch.ingest.draft import FIELDS, read_lines
from funnelwatch.ingest.ledger import Block, Ledger, Poison
from funnelwatch.ingest.seen import digest
from funnelwatch.ingest.segments import Segment
from funnelwatch.ingest.status import Status, read_status
from funnelwatch.store.client import Client, StoreError, StoreUnavailable
from funnelwatch.store.queries import drained
from funnelwatch.store.queries import events as event_queries
from funnelwatch.store.queries import recent as recent_queries
from funnelwatch.store.queries.events import Line

log = logging.getLogger(__name__)

_decode_any = msgspec.json.Decoder().decode_lines

_PROJECT = FIELDS.index("project_id")
_PIECE_BYTES = 500_000  # some 1,000 events: read without letting go of the GIL, about a millisecond
_BLOCK_EVENTS = 50_000
_BLOCK_ROWS = 2_000
_PAUSE = 0.1  # between looks at an empty spool
_CADENCE = 1.0  # between blocks that were not full: the store gets a part a second, an insert costs 20 to 40 ms of processor even with one event
_ON_THE_WAY_MS = 1_000  # from receipt to the spool: what came in this last second may not be on the disk yet
#: How long a burst is let in first: the drain takes half of a small machine, and who waits for an answer goes before who waits for a figure.
_PATIENCE = 10.0
_LOOK = 0.1  # between looks whether the burst is over
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 10.0
_STANDBY = 2.0  # between attempts to take over from another process of the node
#: More refused events than this in one block are the store's fault (a schema that does not fit): wait, set nothing aside.
_MOST_POISON = 100
#: ClickHouse's codes for "this value cannot be stored"; anything else is the store's trouble and is tried again.
_DATA_ERRORS = frozenset((6, 26, 27, 33, 38, 41, 43, 53, 69, 70, 72, 117, 131, 190, 321, 349, 407, 469))


class Reading(NamedTuple):
    """Rows `first` to `last` of a segment. Lines that cannot be read are apart. `digests`: what each event is remembered by."""

    first: int
    last: int
    total: int
    lines: list[Line]
    digests: list[int]
    damaged: list[Poison]
    recent: list[dict[str, Any]]
    drops: Counter[tuple[int, str]]


class Drain:
    """Start it in every web process; the one that gets the lock works, the others stand by."""

    def __init__(self, directory: Path, client: Client, crowded: Callable[[], bool] = lambda: False) -> None:
        """`crowded` says whether requests wait in this process because there are more than it can take at once."""
        self.directory, self._client, self._crowded = directory, client, crowded
        self._patience = _PATIENCE
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self._reader = ThreadPoolExecutor(1, "drain-reader")
        self._lock: BinaryIO | None = None
        self._ledger: Ledger | None = None
        self.last_error = ""
        self._said = 0
        #: Project -> days its events are kept; replaced whole by whoever knows the projects.
        self.tiers: Mapping[int, int] = {}

    def start(self) -> None:
        """Begin draining in a thread."""
        self._thread.start()

    def stop(self, timeout: float = 8.0) -> None:
        """Stop after the block under way. What is left stays in the spool."""
        self._stop.set()
        self._thread.join(timeout)

    @property
    def active(self) -> bool:
        """Whether this process is the node's drain."""
        return self._ledger is not None

    def stats(self) -> Status:
        """Depth, lag, counts and drop reasons of this node's spool."""
        return read_status(self.directory)

    def drain_once(self) -> int:
        """Store one block of each segment; the number of events taken off the spool. Raises StoreError, OSError, sqlite3.Error."""
        ledger = self._ledger
        block = ledger.unfinished()
        if block is not None:
            self._resume(ledger, block)
        taken = 0
        for segment, reading in self._readings(ledger):
            if reading is None:
                self._clear_away(ledger, segment)
            else:
                taken += self._drain_block(ledger, segment, reading)
        return taken

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._stop.is_set():
            begun = monotonic()
            try:
                if self._ledger is None and not self._take_over():
                    self._stop.wait(_STANDBY)
                    continue
                self._give_way()
                taken = self.drain_once()
                self._say()
                self.last_error, backoff = "", _FIRST_BACKOFF
            except Exception as error:  # whatever it is, the events are safe on the disk and the drain must go on
                if str(error) != self.last_error:
                    log.error("drain waits, events stay in the spool: %s", error, exc_info=not isinstance(error, StoreUnavailable))
                self.last_error = str(error) or type(error).__name__
                self._stop.wait(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
                continue
            if taken < _BLOCK_EVENTS:
                self._stop.wait(max(_PAUSE, (_CADENCE if taken else 0) - (monotonic() - begun)))
        self._let_go()

    def _give_way(self) -> None:
        """Wait for a burst to end, but no longer than _PATIENCE in all until a calm moment has been seen."""
        while self._crowded() and self._patience > 0 and not self._stop.wait(_LOOK):
            self._patience -= _LOOK
        if not self._crowded():
            self._patience = _PATIENCE

    def _say(self) -> None:
        """Let the watch know, once a minute, up to when all that was received here is stored."""
        now = clock.now_ms() - _ON_THE_WAY_MS
        if now // 60_000 == self._said // 60_000:
            return
        at = now - int(self.stats().lag_seconds * 1000)
        if at // 60_000 > self._said // 60_000:
            drained.save(self._client, segments.node(self.directory), at)
            self._said = at

    def _take_over(self) -> bool:
        self._lock = self._lock or segments.hold_lock(self.directory / "drain.lock")
        if self._lock is None:
            return False
        self._ledger = Ledger(self.directory)
        return True

    def _let_go(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._reader.shutdown()

    def _readings(self, ledger: Ledger) -> Iterator[tuple[Segment, Reading | None]]:
        """The next block of each segment, read while the one before is on its way into the store: that is the engine's work."""
        left = deque(segments.list_segments(self.directory))
        ahead: Future[Reading | None] | None = None
        while left:
            segment = left.popleft()
            reading = ahead.result() if ahead else _read(segment, ledger.cursor(segment.name)[0], None)
            ahead = self._reader.submit(_read, left[0], ledger.cursor(left[0].name)[0], None) if left else None
            yield segment, reading

    def _drain_block(self, ledger: Ledger, segment: Segment, reading: Reading) -> int:
        total = ledger.cursor(segment.name)[1]
        keep_hours = config.get_int("dedup_hours")
        block = ledger.begin(segment.name, reading.first, reading.last, reading.total, reading.digests, keep_hours)
        self._store(ledger, block, reading)
        return reading.total - total

    def _resume(self, ledger: Ledger, block: Block) -> None:
        segment = Segment(self.directory / f"{block.segment}.sqlite", block.segment.rsplit("-", 1)[0])
        reading = _read(segment, block.first - 1, block.last)
        if reading is None:
            raise FileNotFoundError(f"spool segment {segment.path} is gone, with events that were not stored yet")
        self._store(ledger, block, reading)

    def _store(self, ledger: Ledger, block: Block, reading: Reading) -> None:
        poison = list(reading.damaged)
        lines = reading.lines
        if block.repeats:
            lines = [line for position, line in enumerate(lines) if position not in block.repeats]
        if block.split or self._insert(lines, block.token) is not None:
            block = block if block.split else ledger.mark_split(block)
            self._insert_parts(lines, block.token, 0, poison)
        recent_queries.insert(self._client, reading.recent, block.token)
        for aside in poison:
            log.error("event of project %d set aside: %s", aside.project_id, aside.reason)
        stored = Counter(line.project_id for line in lines)
        stored.subtract(aside.project_id for aside in poison[len(reading.damaged) :])
        repeats = Counter(reading.lines[position].project_id for position in block.repeats)
        ledger.finish(block, reading.drops, stored, repeats, poison)

    def _insert(self, lines: list[Line], token: str) -> Exception | None:
        """None once stored, else what is wrong with the events. Raises when the trouble is the store's."""
        try:
            if lines:
                event_queries.insert_lines(self._client, lines, token, self.tiers)
        except Exception as error:
            if not _is_about_data(error):
                raise
            return error
        return None

    def _insert_parts(self, lines: list[Line], token: str, offset: int, poison: list[Poison]) -> None:
        """Halve until the culprits stand alone; each part has a token made of its place, the same after a restart."""
        count = len(lines)
        error = self._insert(lines, f"{token}/{offset}+{count}")
        if error is None:
            return
        if count == 1:
            if len(poison) == _MOST_POISON:
                raise StoreError(f"the store refuses more than {_MOST_POISON} events of a block, the last with: {error}") from error
            poison.append(Poison(lines[0].project_id, lines[0].text.decode(), str(error) or type(error).__name__))
            return
        middle = count // 2
        self._insert_parts(lines[:middle], token, offset, poison)
        self._insert_parts(lines[middle:], token, offset + middle, poison)

    def _clear_away(self, ledger: Ledger, segment: Segment) -> None:
        """Remove a drained segment once nobody writes to it: its process is gone, or has gone on to a newer one."""
        newest = max(other.name for other in segments.list_segments(self.directory) if other.owner == segment.owner)
        if segment.name != newest:
            if _read(segment, ledger.cursor(segment.name)[0], None) is None:
                segment.remove()
                ledger.forget_segment(segment.name)
            return
        path = segments.owner_lock(self.directory, segment.owner)
        lock = segments.hold_lock(path)
        if lock is None:
            return
        with lock:  # the writer is gone, so nothing can be added while we look once more
            if _read(segment, ledger.cursor(segment.name)[0], None) is None:
                segment.remove()
                ledger.forget_segment(segment.name)
                path.unlink(missing_ok=True)


def _read(segment: Segment, after: int, until: int | None) -> Reading | None:
    """The next rows of a segment, up to a block's worth of events (or exactly to row `until`); None when there are none."""
    found: list[Line] = []
    damaged: list[Poison] = []
    recent: list[dict[str, Any]] = []
    drops: Counter[tuple[int, str]] = Counter()
    first = last = total = 0
    with segments.reading(segment) as connection:
        rows = connection.execute(
            "SELECT id, total, events, recent, drops FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (after, until if until is not None else 2**62, -1 if until is not None else _BLOCK_ROWS),
        )
        for row, running_total, lines, sample, dropped in rows:
            first, last, total = first or row, row, running_total
            _read_row(lines, found, damaged)
            recent.extend(_decode_any(sample))
            drops.update((project, reason) for project, reason in _decode_any(dropped))
            if until is None and len(found) >= _BLOCK_EVENTS:
                break
    digests = [digest(line.project_id, line.message_id) for line in found]
    return Reading(first, last, total, found, digests, damaged, recent, drops) if first else None


def _read_row(text: bytes, found: list[Line], damaged: list[Poison]) -> None:
    start = 0
    while start < len(text):
        end = text.find(b"\n", min(start + _PIECE_BYTES, len(text) - 1)) + 1
        piece = text[start:end]
        try:
            found.extend(read_lines(piece))
        except (msgspec.DecodeError, UnicodeDecodeError):
            for line in filter(None, piece.split(b"\n")):
                _read_one(line, found, damaged)
        start = end


def _read_one(line: bytes, found: list[Line], damaged: list[Poison]) -> None:
    try:
        found.extend(read_lines(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = line.decode(errors="replace")
        damaged.append(Poison(_project_of(text), text, str(error)))


def _project_of(line: str) -> int:
    """The project of a line that cannot be read; 0 when even that cannot be told."""
    try:
        fields = msgspec.json.decode(line)
        return int(fields[_PROJECT])
    except (msgspec.DecodeError, ValueError, TypeError, LookupError):
        return 0


def _is_about_data(error: Exception) -> bool:
    """Whether the events themselves are at fault: the store says so, or its client could not even encode them."""
    if isinstance(error, StoreUnavailable):
        return False
    if isinstance(error, StoreError):
        return error.code in _DATA_ERRORS
    return isinstance(error, ValueError | TypeError | ArithmeticError | AttributeError | LookupError) or "TypeMismatch" in type(error).__name__
