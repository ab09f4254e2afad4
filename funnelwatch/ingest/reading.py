"""The messages of one request, to what goes onto the spool. It needs nothing of this process, so another may do it."""

from collections import Counter
from collections.abc import Iterable
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


class Counts(NamedTuple):
    """What became of one task's messages: accepted, rejected by reason; `shown`: rejected ones shown beyond the noted ones."""

    accepted: int
    rejected: dict[str, int]
    shown: int


class Taken(NamedTuple):
    """`entry` for the spool holds what was made of all tasks; `counts` one a task."""

    entry: Entry
    counts: list[Counts]


def read(tasks: Iterable[Task]) -> Taken:
    """Validate and enrich. Never raises for what a client sent."""
    drafts: list[Any] = []
    drops: list[tuple[int, str]] = []
    recent: list[Any] = []
    counts = [_read_task(task, drafts, drops, recent) for task in tasks]
    entry = Entry(
        events=encode_lines(drafts),
        count=len(drafts),
        recent=encode_lines(recent) if recent else b"",
        drops=encode_lines(drops) if drops else b"",
    )
    return Taken(entry, counts)


def _read_task(task: Task, drafts: list[Any], drops: list[tuple[int, str]], recent: list[Any]) -> Counts:
    """Add what the task's messages come to, as drafts, as (project, reason) of those dropped, as rows of the live view."""
    arrival, before, shown = task.arrival, len(drafts), 0
    reasons: list[str] = []
    for number, raw in enumerate(task.raws):
        notes: intake.Notes | None = [] if number < task.noted else None
        made = intake.read_one(raw, arrival, notes)
        dropped = made.__class__ is Drop
        if notes is not None:
            recent.append(row(made, notes, arrival))
        elif dropped and shown < task.rejected:
            shown += 1
            recent.append(row(made, [], arrival))
        if dropped:
            reasons.append(made.reason)
        else:
            drafts.append(made)
    if reasons:
        drops.extend((arrival.key.project_id, reason) for reason in reasons)
    return Counts(len(drafts) - before, dict(Counter(reasons)) if reasons else {}, shown)
