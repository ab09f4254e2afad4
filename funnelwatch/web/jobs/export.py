"""A project's events and roll-ups as Parquet files, a folder a day. Run again it writes only the days that changed since.

    DIR/events/date=2026-11-21/part-0.parquet      and funnel_minute, event_minute alike; days are UTC
    DIR/funnels.json                               what funnel_id, funnel_version and step stand for
    DIR/manifest.json                              what was written of which state of the store
"""

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.pipeline.funnels import rolled_up
from funnelwatch.projects.models import Project, steps_to_json
from funnelwatch.store.client import Client
from funnelwatch.store.queries import export, names
from funnelwatch.store.queries.export import DAY_MS, Day
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import moment, project_named
from funnelwatch.web.progress import Progress

#: Rows a file, so that a large day fits into memory in pieces.
MOST_ROWS = 1_000_000


@dataclass
class Manifest:
    """`tables` is table -> date -> {mark, rows, files, bytes}."""

    path: Path
    tables: dict[str, dict[str, dict[str, Any]]]

    @classmethod
    def of(cls, folder: Path, project: Project) -> "Manifest":
        """The folder's manifest, empty for a new one. Raises Error for another project's folder."""
        path = folder / "manifest.json"
        if not path.exists():
            return cls(path, {table: {} for table in export.TABLES})
        kept = json.loads(path.read_text())
        if kept["project"] != project.name:
            raise Error(f"{folder} holds an export of {kept['project']}; choose another folder for {project.name}")
        return cls(path, kept["tables"])

    def save(self, project: Project) -> None:
        """Keep it; a crash leaves the old or the new one."""
        _replace(self.path, json.dumps({"project": project.name, "tables": self.tables}, indent=1))


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{project, dir, from, to, dry_run}` to `{project, dir, dry_run, tables: {name: {days, written, removed, bytes}}, first, last}`.

    On a dry run `written` and `removed` are what would be, the rest what lies there now. Raises Error.
    """
    project, folder = project_named(options["project"]), Path(options["dir"])
    client = pipeline.runtime().client
    first, end = _span(client, project, options)
    try:
        manifest = Manifest.of(folder, project)
        found = {table: export.days(client, project.pk, table, first, end) for table in export.TABLES}
        changed = [(table, day) for table, days in found.items() for day in days if manifest.tables[table].get(_date(day.day), {}).get("mark") != day.mark]
        if not any(found.values()) and not any(manifest.tables.values()):
            raise Error(f"{project.name} has no events there: send or import some, or choose another --from and --to")
        whole = not (options["from"] or options["to"])
        gone = _gone(manifest, found, None if whole else (_date(first // DAY_MS), _date(end // DAY_MS)))
        if options["dry_run"]:
            return _result(project, folder, manifest, changed, gone, True)
        folder.mkdir(parents=True, exist_ok=True)
        for table, name in gone:
            shutil.rmtree(folder / table / f"date={name}")
            del manifest.tables[table][name]
        for number, (table, day) in enumerate(changed):
            progress("exporting", number, len(changed), sum(each.rows for _, each in changed[:number]), "rows")
            manifest.tables[table][_date(day.day)] = _write(client, project, folder / table, table, day)
            manifest.save(project)
        manifest.save(project)
        _replace(folder / "funnels.json", json.dumps(_funnels(client, project, first, end), indent=1))
    except OSError as error:
        raise Error(f"cannot write to {folder}: {error.strerror or error}") from error
    return _result(project, folder, manifest, changed, gone, False)


def _span(client: Client, project: Project, options: dict[str, Any]) -> tuple[int, int]:
    """Whole days, in epoch milliseconds. Raises Error."""
    start, end = moment(options["from"], "--from"), moment(options["to"], "--to")
    held = names.span(client, project.pk) or (0, 0)
    low = clock.to_ms(start) if start else held[0]
    high = clock.to_ms(end) if end else held[1] + 1
    if low > high:
        raise Error("--to must lie after --from")
    return low // DAY_MS * DAY_MS, -(-high // DAY_MS) * DAY_MS


def _write(client: Client, project: Project, folder: Path, table: str, day: Day) -> dict[str, Any]:
    """One day's files, each in place of its predecessor."""
    target = folder / f"date={_date(day.day)}"
    target.mkdir(parents=True, exist_ok=True)
    parts = max(1, -(-day.rows // MOST_ROWS)) if table == "events" else 1
    edges = [(day.day * parts + part) * DAY_MS // parts for part in range(parts + 1)]
    written = []
    for part, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        path = target / f"part-{part}.parquet"
        draft = path.with_suffix(".draft")
        export.write(client, draft, project.pk, table, low, high)
        os.replace(draft, path)
        written.append(path)
    for path in set(target.iterdir()) - set(written):
        path.unlink()
    return {"mark": day.mark, "rows": day.rows, "files": len(written), "bytes": sum(path.stat().st_size for path in written)}


def _gone(manifest: Manifest, found: dict[str, list[Day]], within: tuple[str, str] | None) -> list[tuple[str, str]]:
    """Tables and dates (all, or from a date up to another) that hold nothing any more, erased or expired."""
    return [
        (table, name)
        for table, days in found.items()
        for name in sorted(manifest.tables[table].keys() - {_date(day.day) for day in days})
        if within is None or within[0] <= name < within[1]
    ]


def _funnels(client: Client, project: Project, first: int, end: int) -> list[dict[str, Any]]:
    return [
        {"funnel_id": funnel.id, "funnel_version": funnel.version, "name": funnel.name, "count_by": funnel.count_by,
         "window_minutes": funnel.window_minutes, "steps": steps_to_json(funnel.steps)}
        for funnel in rolled_up(client, project, first // 60_000, end // 60_000)
    ]  # fmt: skip


def _result(
    project: Project, folder: Path, manifest: Manifest, changed: list[tuple[str, Day]], gone: list[tuple[str, str]], dry_run: bool
) -> dict[str, Any]:
    written, removed = Counter(table for table, _ in changed), Counter(table for table, _ in gone)
    dates = sorted(name for days in manifest.tables.values() for name in days)
    return {
        "project": project.name,
        "dir": str(folder),
        "dry_run": dry_run,
        "tables": {
            table: {"days": len(days), "written": written[table], "removed": removed[table],
                    "bytes": sum(day["bytes"] for day in days.values())}
            for table, days in manifest.tables.items()
        },
        "first": dates[0] if dates else None,
        "last": dates[-1] if dates else None,
    }  # fmt: skip


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    os.replace(draft, path)
