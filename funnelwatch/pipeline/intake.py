"""Messages that do not come over ingest's HTTP paths: imported files, order webhooks. Validation and enrichment are the same."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any

import msgspec

from funnelwatch import config
from funnelwatch.changes import hooks
from funnelwatch.core import children, clock
from funnelwatch.ingest import intake
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import read_lines
from funnelwatch.ingest.formats import Reject
from funnelwatch.ingest.reading import Counts, Task, read
from funnelwatch.ingest.sample import Sampler
from funnelwatch.pipeline import process
from funnelwatch.projects.models import Project
from funnelwatch.store.queries import events as event_queries
from funnelwatch.store.queries.events import Line

#: Messages a block: one look-up of ids, one insert, one report of progress.
BLOCK = 20_000
#: Processes that read blocks while this one stores them; it is half the work, and the machine may have two cores.
CHILDREN = 2
#: A client's second attempt is dated by another clock reading, so its time may differ by this much.
RETRY_MS = 60_000

_sampler = Sampler()

Row = Mapping[str, Any] | bytes | Reject
#: (index in the block, reason) of messages that became no event.
Dropped = list[tuple[int, str]]


@dataclass
class ImportReport:
    """What an import did. `rejected` counts rows by reason; `first` and `last` are the events' own times (UTC)."""

    read: int = 0
    imported: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def span(self, low_ms: int, high_ms: int) -> None:
        """Widen `first` and `last` to hold these times (epoch milliseconds)."""
        low, high = clock.from_ms(low_ms), clock.from_ms(high_ms)
        self.first = min(self.first or low, low)
        self.last = max(self.last or high, high)


def import_rows(
    project: Project,
    rows: Iterable[Row],
    reject: Callable[[str, str], None],
    progress: Callable[[ImportReport], None],
) -> ImportReport:
    """Store a file's rows, block by block; what is stored already is counted and left alone, so a second run adds nothing.

    `reject(reason, raw)` is called for every row that becomes no event; `progress(report)` after each stored block, so whoever
    keeps a checkpoint may write it then. Raises StoreError, StoreUnavailable; every reported block is then safe.
    """
    report = ImportReport()
    arrival = Arrival(
        key=process.key_info(project),
        now=clock.now_ms(),
        received_at=None,
        max_event_bytes=config.get_int("max_event_bytes"),
        future_ms=config.get_int("future_hours") * 3_600_000,
    )
    store = _Store(project, report)
    for block, dropped in _stored(_read_all(_blocks(rows), arrival), store):
        for index, reason in dropped:
            reject(reason, block.raws[index].decode(errors="replace"))
        for bad in block.rejects:
            reject(bad.reason, bad.raw)
        report.read += len(block.raws) + len(block.rejects)
        report.rejected.update(bad.reason for bad in block.rejects)
        report.rejected.update(reason for _, reason in dropped)
        progress(report)
    return report


def take_messages(project: Project, messages: list[dict[str, Any]]) -> Counts:
    """Server-side messages (orders from a shop's webhook) onto the spool, with what was dropped and a sample for the live view.

    In a process without a spool the events are stored at once. Raises SpoolFull.
    """
    now = clock.now_ms()
    arrival = Arrival(key=process.key_info(project), now=now, received_at=now, max_event_bytes=hooks.MOST_BYTES)
    noted, rejected = _sampler.grant(project.pk, len(messages), now)
    taken = read([Task([msgspec.json.encode(message) for message in messages], arrival, noted, rejected)])
    (counts,) = taken.counts
    spool = process.spool()
    if spool is not None:
        spool.put(taken.entry)
    else:
        _Store(project, ImportReport())(taken.entry.events)
    _sampler.shown(project.pk, counts.shown)
    return counts


@dataclass(frozen=True)
class _Block:
    """Rows of the file in order: those that are messages as JSON, and those the reader could not read."""

    raws: list[bytes]
    rejects: list[Reject]


def _blocks(rows: Iterable[Row]) -> Iterator[_Block]:
    source = iter(rows)
    while taken := list(islice(source, BLOCK)):
        raws = [row if isinstance(row, bytes) else msgspec.json.encode(row) for row in taken if not isinstance(row, Reject)]
        yield _Block(raws, [row for row in taken if isinstance(row, Reject)])


def _read_all(blocks: Iterator[_Block], arrival: Arrival) -> Iterator[tuple[_Block, bytes, Dropped]]:
    """Each block with its spool lines and drops. A small file is read here; a large one by CHILDREN processes, in order."""
    begun = list(islice(blocks, 2))
    if len(begun) < 2:
        yield from ((block, *intake.read_block(block.raws, arrival)) for block in begun)
        return
    with children.pool(CHILDREN) as readers:
        waiting: deque[tuple[_Block, Future[tuple[bytes, Dropped]]]] = deque()
        for block in chain(begun, blocks):
            waiting.append((block, readers.submit(intake.read_block, block.raws, arrival)))
            if len(waiting) > CHILDREN:
                done, future = waiting.popleft()
                yield (done, *future.result())
        for done, future in waiting:
            yield (done, *future.result())


def _stored(blocks: Iterator[tuple[_Block, bytes, Dropped]], store: Callable[[bytes], None]) -> Iterator[tuple[_Block, Dropped]]:
    """Each block once it is stored, in order; the next one is read from the file meanwhile."""
    with ThreadPoolExecutor(1) as storing:
        ready = next(blocks, None)
        while ready is not None:
            block, lines, dropped = ready
            under_way = storing.submit(store, lines)
            ready = next(blocks, None)
            under_way.result()
            yield block, dropped


class _Store:
    """Stores an import's blocks in order, but for events whose message id is there already around their time."""

    def __init__(self, project: Project, report: ImportReport) -> None:
        self._project, self._report = project, report
        self._client = process.runtime().client
        self._begun = event_queries.store_clock(self._client)
        self._high = 0  # the newest event stored by this import

    def __call__(self, text: bytes) -> None:
        """Store one block of spool lines."""
        lines = read_lines(text)
        if not lines:
            return
        once = {line.message_id: line for line in reversed(lines)}  # the first of a repeated id wins
        times = [line.ts for line in once.values()]
        known = self._known(list(once.values()), min(times), max(times))
        fresh = [line for line in once.values() if line.message_id not in known]
        self._report.duplicates += len(lines) - len(fresh)
        self._report.span(min(times), max(times))
        if fresh:
            token = hashlib.sha256("\n".join(line.message_id for line in fresh).encode()).hexdigest()
            tiers = {self._project.pk: self._project.retention_days}
            event_queries.insert_lines(self._client, fresh, f"{self._project.pk}-{token}", tiers)
        self._report.imported += len(fresh)
        self._high = max(self._high, *times)

    def _known(self, lines: Sequence[Line], low: int, high: int) -> set[str]:
        """Message ids that are stored. Where nothing else was stored around that time, only what may repeat this import's own."""
        if not event_queries.is_empty(self._client, self._project.pk, low, high, before=self._begun):
            return event_queries.existing_ids(self._client, self._project.pk, [line.message_id for line in lines], low, high)
        again = [line.message_id for line in lines if line.ts <= self._high + RETRY_MS]
        return event_queries.existing_ids(self._client, self._project.pk, again, low, high) if again else set()
