"""How ingest is doing, read from the spool directory by any process: the health page, the API and the metrics ask here."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from funnelwatch.core import clock
from funnelwatch.ingest import segments
from funnelwatch.ingest.draft import FIELDS
from funnelwatch.ingest.ledger import FILE_NAME
from funnelwatch.ingest.metrics import Metrics
from funnelwatch.ingest.privacy import scrub

_PROJECT = FIELDS.index("project_id")


class Status(Struct, frozen=True, kw_only=True):
    """Spool and drain of one node. Counts are since the data directory was made; `drops` is project -> reason -> count,
    `projects` is project -> {"stored", "repeats"}."""

    waiting_events: int
    spool_bytes: int
    lag_seconds: float  # age of the oldest event that is not in the store yet
    stored: int
    repeats: int  # left out because their message id was stored before
    poison: int
    drops: dict[int, dict[str, int]]
    projects: dict[int, dict[str, int]]


def read_status(directory: Path) -> Status:
    """The state of the spool in `directory` now. Raises sqlite3.Error when its files are damaged."""
    waiting, size, oldest = 0, 0, None
    ledger = directory / FILE_NAME
    cursors, counters, drops, poison = _read_ledger(ledger) if ledger.exists() else ({}, {}, {}, 0)
    for segment in segments.list_segments(directory):
        size += segment.size()
        try:
            behind, since = _behind(segment, *cursors.get(segment.name, (0, 0)))
        except sqlite3.OperationalError:
            if segment.path.exists():
                raise
            continue  # drained and removed while we looked
        waiting += behind
        if since is not None:
            oldest = since if oldest is None else min(oldest, since)
    return Status(
        waiting_events=waiting,
        spool_bytes=size,
        lag_seconds=max(0.0, (clock.now_ms() - oldest) / 1000) if oldest is not None else 0.0,
        stored=counters.get("stored", 0),
        repeats=counters.get("repeats", 0),
        poison=poison,
        drops=drops,
        projects=_by_project(counters),
    )


def read_poison(directory: Path, project_id: int, limit: int = 10) -> list[dict[str, Any]]:
    """`at` (epoch ms) and `reason`, scrubbed, of a project's newest events set aside, and of those too damaged to tell whose they are."""
    if not (directory / FILE_NAME).exists():
        return []
    with closing(_open(directory / FILE_NAME)) as connection:
        rows = connection.execute(
            f"""
            SELECT at, reason FROM poison
            WHERE CASE WHEN json_valid(line) THEN coalesce(json_extract(line, '$[{_PROJECT}]'), 0) ELSE 0 END IN (0, ?)
            ORDER BY id DESC LIMIT ?
            """,
            (project_id, limit),
        ).fetchall()
    # After the first line the engine's own words list the event's values.
    return [{"at": at, "reason": scrub(reason.partition("\n")[0])} for at, reason in rows]


def metrics_text(directory: Path, metrics: Metrics) -> str:
    """Prometheus text: this process's requests and the node's spool."""
    status = read_status(directory)
    lines = [
        *_family("ingest_events_accepted_total", "counter", {f'project="{project}"': count for project, count in metrics.accepted.items()}),
        *_family(
            "ingest_events_rejected_total",
            "counter",
            {f'project="{project}",reason="{reason}"': count for (project, reason), count in metrics.rejected.items()},
        ),
        *_family("ingest_responses_total", "counter", {f'status="{code}"': count for code, count in metrics.responses.items()}),
        *_family("ingest_refusals_total", "counter", {f'code="{code}"': count for code, count in metrics.refusals.items()}),
        *_family("spool_waiting_events", "gauge", {"": status.waiting_events}),
        *_family("spool_bytes", "gauge", {"": status.spool_bytes}),
        *_family("spool_lag_seconds", "gauge", {"": status.lag_seconds}),
        *_family("drain_events_stored_total", "counter", {"": status.stored}),
        *_family("drain_events_repeated_total", "counter", {"": status.repeats}),
        *_family("drain_events_poison_total", "counter", {"": status.poison}),
        *_family(
            "drain_drops_total",
            "counter",
            {
                f'project="{project}",reason="{reason}"': count
                for project, reasons in status.drops.items()
                for reason, count in reasons.items()
            },
        ),
    ]
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, values: dict[str, float]) -> list[str]:
    full = f"funnelwatch_{name}"
    return [f"# TYPE {full} {kind}", *(f"{full}{{{labels}}} {value}" if labels else f"{full} {value}" for labels, value in values.items())]


def _by_project(counters: dict[str, int]) -> dict[int, dict[str, int]]:
    projects: dict[int, dict[str, int]] = {}
    for name, count in counters.items():
        kind, _, project = name.partition(":")
        if project:
            projects.setdefault(int(project), {"stored": 0, "repeats": 0})[kind] = count
    return projects


def _behind(segment: segments.Segment, row: int, total: int) -> tuple[int, int | None]:
    """Events of a segment that are not drained, and when the first of them was written."""
    with segments.reading(segment) as connection:
        (last,) = connection.execute("SELECT total FROM entries ORDER BY id DESC LIMIT 1").fetchone() or (0,)
        (since,) = connection.execute("SELECT at FROM entries WHERE id > ? ORDER BY id LIMIT 1", (row,)).fetchone() or (None,)
    return last - total, since


def _read_ledger(path: Path) -> tuple[dict[str, tuple[int, int]], dict[str, int], dict[int, dict[str, int]], int]:
    with closing(_open(path)) as connection:
        cursors = {name: (row, total) for name, row, total in connection.execute("SELECT segment, row, total FROM cursors")}
        counters = dict(connection.execute("SELECT name, count FROM counters").fetchall())
        drops: dict[int, dict[str, int]] = {}
        for project, reason, count in connection.execute("SELECT project_id, reason, count FROM drops"):
            drops.setdefault(project, {})[reason] = count
        (poison,) = connection.execute("SELECT count(*) FROM poison").fetchone()
    return cursors, counters, drops, poison


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=10)
