"""Durable before acknowledged: what several waiting requests bring is committed with one fsync for all of them."""

import asyncio
import logging
import os
import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from funnelwatch.core import clock
from funnelwatch.ingest import segments
from funnelwatch.ingest.errors import Refusal

log = logging.getLogger(__name__)

#: A drained segment is removed whole, so this bounds what lingers on a quiet system.
_SEGMENT_BYTES = 32 * 1024 * 1024
#: One row is decoded at one go by the drain; beyond this it would hold up other threads.
_ROW_BYTES = 1024 * 1024
#: Free space left to the drain and the event store, which both need some to get the spool empty again.
_RESERVE_SHARE, _LEAST_RESERVE, _MOST_RESERVE = 0.05, 4 * 1024 * 1024, 256 * 1024 * 1024
_RETRY_SECONDS = 10
#: Between looks at the disk: other programs fill it too, and so do we, by a quarter of the least reserve.
_LOOK_SECONDS, _LOOK_BYTES = 0.5, 1024 * 1024


class SpoolFull(Refusal):
    """No room on the disk or under the spool's cap: nothing was taken, come back later."""

    def __init__(self, why: str) -> None:
        super().__init__(429, "spool_full", why, retry_after=_RETRY_SECONDS)


class Entry(NamedTuple):
    """What requests leave behind, each part JSON lines."""

    events: bytes
    count: int
    recent: bytes = b""
    drops: bytes = b""


class Writer:
    """One owner's segments. One thread at a time may use it."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.max_bytes = directory, max_bytes
        self.owner = uuid.uuid4().hex
        self._lock = segments.hold_lock(segments.owner_lock(directory, self.owner))
        self._connection: sqlite3.Connection | None = None
        self._number = self._total = self._written = 0
        self._look_again, self._unlooked = 0.0, 0
        self._told = ""

    def write(self, entries: Sequence[Entry]) -> None:
        """Returns once the entries are durable, all with one fsync. Raises SpoolFull, and then none of them is there."""
        try:
            if monotonic() >= self._look_again or self._unlooked > _LOOK_BYTES:
                self._check_room()
                self._look_again, self._unlooked = monotonic() + _LOOK_SECONDS, 0
            self._write(entries)
            self._told = ""
        except (sqlite3.Error, OSError) as failure:
            # A full or failing disk: the segment may be unusable, so the next attempt begins a new one.
            if str(failure) != self._told:
                log.warning("spool write failed, answering 429: %s", failure)
            self._told = str(failure)
            self._abandon_segment()
            raise SpoolFull(f"the spool cannot be written: {failure}") from failure

    def close(self) -> None:
        """Let go of the files: what is not yet drained is adopted by the next drain. Idempotent."""
        self._abandon_segment()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write(self, entries: Sequence[Entry]) -> None:
        if self._connection is None or self._written > _SEGMENT_BYTES:
            self._begin_segment()
        events = b"".join([entry.events for entry in entries])
        recent, drops = b"".join([entry.recent for entry in entries]), b"".join([entry.drops for entry in entries])
        total = self._total + sum(entry.count for entry in entries)
        self._connection.execute(  # one statement outside a transaction commits, and returns after the fsync
            "INSERT INTO entries (at, total, events, recent, drops) VALUES (?, ?, ?, ?, ?)",
            (clock.now_ms(), total, events, recent, drops),
        )
        self._total = total
        size = len(events) + len(recent) + len(drops)
        self._written += size
        self._unlooked += size

    def _begin_segment(self) -> None:
        number = self._number + 1
        connection = segments.create(self.directory, self.owner, number)
        self._abandon_segment()
        self._connection, self._number = connection, number
        self._total = self._written = 0

    def _abandon_segment(self) -> None:
        if self._connection is not None:
            segments.close_as_is(self._connection)
            self._connection = None

    def _check_room(self) -> None:
        disk = os.statvfs(self.directory)
        free = disk.f_bavail * disk.f_frsize
        if free < min(max(disk.f_blocks * disk.f_frsize * _RESERVE_SHARE, _LEAST_RESERVE), _MOST_RESERVE):
            self._refuse("the disk is nearly full")
        if spool_bytes(self.directory) > self.max_bytes:
            self._refuse("the spool has reached its cap (spool_max_mb): the event store is not keeping up")

    def _refuse(self, why: str) -> None:
        if self._written:
            self._begin_segment()  # the drain removes a segment only when its writer has gone on to the next
        raise SpoolFull(why)


class Spool:
    """This process's spool. `enqueue` from any event loop, `put` from any thread."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.writer = Writer(directory, max_bytes)
        self._waiting: deque[tuple[Entry, asyncio.Future[None] | Future[None]]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def enqueue(self, entry: Entry) -> "asyncio.Future[None]":
        """A future of the running event loop that is done once the entry is durable, or has SpoolFull. Raises SpoolFull."""
        future = asyncio.get_running_loop().create_future()
        self._enqueue(entry, future)
        return future

    def put(self, entry: Entry) -> None:
        """Returns once the entry is durable, for threads. Raises SpoolFull."""
        future: Future[None] = Future()
        self._enqueue(entry, future)
        future.result()

    def close(self) -> None:
        """Write what is waiting and let go of the files. Idempotent."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self.writer.close()

    def _enqueue(self, entry: Entry, future: asyncio.Future[None] | Future[None]) -> None:
        if self._closing:
            raise SpoolFull("shutting down")
        self._waiting.append((entry, future))
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._commit(self._take())
            if self._closing and not self._waiting:
                return

    def _take(self) -> list[tuple[Entry, asyncio.Future[None] | Future[None]]]:
        group, size = [], 0
        while self._waiting and size < _ROW_BYTES:
            group.append(self._waiting.popleft())
            size += len(group[-1][0].events)
        return group

    def _commit(self, group: list[tuple[Entry, asyncio.Future[None] | Future[None]]]) -> None:
        error: SpoolFull | None = None
        try:
            self.writer.write([entry for entry, _ in group])
        except SpoolFull as full:
            error = full
        _settle([future for _, future in group], error)


def spool_bytes(directory: Path) -> int:
    """Bytes of all segments in the directory."""
    return sum(segment.size() for segment in segments.list_segments(directory))


def _settle(futures: list[asyncio.Future[None] | Future[None]], error: SpoolFull | None) -> None:
    """Answer the waiting requests: threads directly, event loops by one call each."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        if isinstance(future, Future):
            future.set_result(None) if error is None else future.set_exception(error)
        else:
            by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, waiting in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, waiting, error)
        except RuntimeError:
            log.info("event loop closed before %d durable writes could be acknowledged", len(waiting))


def _settle_here(futures: list[asyncio.Future[None]], error: SpoolFull | None) -> None:
    for future in futures:
        if not future.done():  # the client may have gone
            future.set_result(None) if error is None else future.set_exception(error)
