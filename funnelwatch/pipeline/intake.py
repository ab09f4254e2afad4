"""Messages that do not come over ingest's HTTP paths: imported files, order webhooks. Validation and enrichment are the same."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from funnelwatch import config
from funnelwatch.core import clock
from funnelwatch.core.events import Drop, Event
from funnelwatch.ingest import intake
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import decode_lines, encode_lines, to_event
from funnelwatch.ingest.formats import Reject
from funnelwatch.ingest.spool import Entry
from funnelwatch.pipeline import process
from funnelwatch.projects.models import Project
from funnelwatch.store.queries import events as event_queries

#: Messages a block: one insert, one look-up of ids; 50,000 are about 100 MB while they last.
BLOCK = 50_000

Row = Mapping[str, Any] | Reject


@dataclass
class ImportReport:
    """What an import did. `rejected` counts rows by reason; `first` and `last` are the events' own times (UTC)."""

    read: int = 0
    imported: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def span(self, events: Iterable[Event]) -> None:
        """Widen `first` and `last` to hold these events."""
        times = [event.ts for event in events]
        if times:
            low, high = clock.from_ms(min(times)), clock.from_ms(max(times))
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
    source = iter(rows)
    while block := list(islice(source, BLOCK)):
        events = _read(block, arrival, report, reject)
        _store(project, events, report)
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
        _store(project, [to_event(row) for row in decode_lines(lines)], ImportReport())
    return len(drafts)


def _read(block: list[Row], arrival: Arrival, report: ImportReport, reject: Callable[[str, str], None]) -> list[Event]:
    drafts = []
    for row in block:
        report.read += 1
        if isinstance(row, Reject):
            report.rejected[row.reason] += 1
            reject(row.reason, row.raw)
            continue
        raw = msgspec.json.encode(row)
        made = intake.read_one(raw, arrival)
        if isinstance(made, Drop):
            report.rejected[made.reason] += 1
            reject(made.reason, raw.decode())
        else:
            drafts.append(made)
    return [to_event(row) for row in decode_lines(encode_lines(drafts))]


def _store(project: Project, events: list[Event], report: ImportReport) -> None:
    if not events:
        return
    client = process.runtime().client
    once = {event.message_id: event for event in reversed(events)}  # the first of a repeated id wins
    times = [event.ts for event in once.values()]
    known = event_queries.existing_ids(client, project.pk, list(once), min(times), max(times))
    fresh = [event for message_id, event in once.items() if message_id not in known]
    report.duplicates += len(events) - len(fresh)
    report.span(events)
    if fresh:
        token = hashlib.sha256("\n".join(event.message_id for event in fresh).encode()).hexdigest()
        event_queries.insert(client, fresh, f"{project.pk}-{token}")
    report.imported += len(fresh)
