"""Messages that do not come over ingest's HTTP paths: imported files, order webhooks. Validation and enrichment are the same."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any

import msgspec

from funnelwatch import config
from funnelwatch.core import children, clock
from funnelwatch.core.events import Drop
from funnelwatch.ingest import intake
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import FIELDS, decode_lines, empty_columns, encode_lines, extend
from funnelwatch.ingest.draft import Row as Line
from funnelwatch.ingest.formats import Reject
from funnelwatch.ingest.spool import Entry
from funnelwatch.pipeline import process
from funnelwatch.projects.models import Project
from funnelwatch.store.queries import events as event_queries

#: Messages a block: one look-up of ids, one insert, one report of progress.
BLOCK = 20_000
#: Processes that read blocks while this one stores them; it is half the work, and the machine may have two cores.
CHILDREN = 2
_ID, _TS = FIELDS.index("message_id"), FIELDS.index("ts")

Row = Mapping[str, Any] | bytes | Reject


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
    for block, lines, dropped in _read_all(_blocks(rows), arrival):
        for index, reason in dropped:
            reject(reason, block.raws[index].decode(errors="replace"))
        for bad in block.rejects:
            reject(bad.reason, bad.raw)
        report.read += len(block.raws) + len(block.rejects)
        report.rejected.update(bad.reason for bad in block.rejects)
        report.rejected.update(reason for _, reason in dropped)
        _store(project, decode_lines(lines), report)
        progress(report)
    return report


def take_messages(project: Project, messages: list[dict[str, Any]]) -> int:
    """Server-side messages (orders from a shop's webhook) onto the spool; returns how many were accepted. Raises SpoolFull.

    In a process without a spool they are stored at once.
    """
    now = clock.now_ms()
    arrival = Arrival(key=process.key_info(project), now=now, received_at=now)
    made = [intake.read_one(msgspec.json.encode(message), arrival) for message in messages]
    drafts = [draft for draft in made if not isinstance(draft, Drop)]
    if not drafts:
        return 0
    lines = encode_lines(drafts)
    spool = process.spool()
    if spool is not None:
        spool.put(Entry(events=lines, count=len(drafts)))
    else:
        _store(project, decode_lines(lines), ImportReport())
    return len(drafts)


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


def _read_all(blocks: Iterator[_Block], arrival: Arrival) -> Iterator[tuple[_Block, bytes, list[tuple[int, str]]]]:
    """Each block with its spool lines and drops. A small file is read here; a large one by CHILDREN processes, in order."""
    first = next(blocks, None)
    if first is None:
        return
    yield (first, *intake.read_block(first.raws, arrival))
    second = next(blocks, None)
    if second is None:
        return
    with children.pool(CHILDREN) as readers:
        waiting: deque[tuple[_Block, Future[tuple[bytes, list[tuple[int, str]]]]]] = deque()
        for block in chain([second], blocks):
            waiting.append((block, readers.submit(intake.read_block, block.raws, arrival)))
            if len(waiting) > CHILDREN:
                done, future = waiting.popleft()
                yield (done, *future.result())
        for done, future in waiting:
            yield (done, *future.result())


def _store(project: Project, rows: Sequence[Line], report: ImportReport) -> None:
    """Store spooled rows but those whose message id is stored already around that time."""
    if not rows:
        return
    client = process.runtime().client
    once = {row[_ID]: row for row in reversed(rows)}  # the first of a repeated id wins
    times = [row[_TS] for row in once.values()]
    low, high = min(times), max(times)
    known = event_queries.existing_ids(client, project.pk, list(once), low, high)
    fresh = [row for message_id, row in once.items() if message_id not in known]
    report.duplicates += len(rows) - len(fresh)
    report.span(low, high)
    if fresh:
        token = hashlib.sha256("\n".join(row[_ID] for row in fresh).encode()).hexdigest()
        columns = empty_columns()
        for start in range(0, len(fresh), 500):
            extend(columns, fresh[start : start + 500])
        event_queries.insert_columns(client, columns, f"{project.pk}-{token}", {project.pk: project.retention_days})
    report.imported += len(fresh)
