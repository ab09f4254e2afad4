"""The messages of one request, to what goes onto the spool. It needs nothing of this process, so another may do it."""

from collections import Counter
from typing import Any, NamedTuple

from funnelwatch.core.events import Drop
from funnelwatch.ingest import intake
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import encode_lines
from funnelwatch.ingest.sample import row
from funnelwatch.ingest.spool import Entry


class Task(NamedTuple):
    """`noted`: the first so many messages are read with notes for the live view; so many rejected ones beyond may be shown too."""

    raws: list[bytes]
    arrival: Arrival
    noted: int = 0
    rejected: int = 0


class Taken(NamedTuple):
    """`entry` for the spool; `rejected` messages by reason; `shown`: those of them shown beyond the noted ones."""

    entry: Entry
    rejected: dict[str, int]
    shown: int


def read(task: Task) -> Taken:
    """Validate and enrich. Never raises for what a client sent."""
    drafts: list[Any] = []
    drops: list[Drop] = []
    recent: list[Any] = []
    arrival, shown = task.arrival, 0
    for number, raw in enumerate(task.raws):
        notes: intake.Notes | None = [] if number < task.noted else None
        made = intake.read_one(raw, arrival, notes)
        dropped = made.__class__ is Drop
        if notes is not None:
            recent.append(row(made, notes, arrival))
        elif dropped and shown < task.rejected:
            shown += 1
            recent.append(row(made, [], arrival))
        (drops if dropped else drafts).append(made)
    project = arrival.key.project_id
    entry = Entry(
        events=encode_lines(drafts),
        count=len(drafts),
        recent=encode_lines(recent) if recent else b"",
        drops=encode_lines([(project, drop.reason) for drop in drops]) if drops else b"",
    )
    return Taken(entry, dict(Counter(drop.reason for drop in drops)) if drops else {}, shown)
