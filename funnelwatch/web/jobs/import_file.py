"""A file of history into the store. Stopped at any point, it goes on from its last stored block."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import IO, Any

from django.conf import settings

from funnelwatch import pipeline
from funnelwatch.ingest import geo
from funnelwatch.ingest.formats import Message, Reject, reader
from funnelwatch.ingest.formats.mapping import MappingError
from funnelwatch.ingest.formats.source import Source
from funnelwatch.projects.models import Project
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import project_named
from funnelwatch.web.progress import Progress


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{file, project, format, map, rejects}` (absolute paths) to CONTRACT's result of `import`. Raises Error.

    `counting_s` beside it: how many of the seconds went into roll-ups and learning, once all was stored.
    """
    project = project_named(options["project"])
    source = Source(Path(options["file"]))
    mapping = Path(options["map"]) if options["map"] else None
    rows = reader(options["format"])(source, mapping)
    checkpoint = Checkpoint.of(project, options["format"], source, mapping)
    rejects_path = Path(options["rejects"]) if options["rejects"] else _rejects_path(source.path)
    try:
        with _rejects(rejects_path, checkpoint.rejects_bytes) as rejects:
            counts = _store(project, rows, source, checkpoint, rejects, progress)
    except (MappingError, geo.GeoFileError) as error:
        raise Error(str(error)) from error
    stored = monotonic()
    if counts.imported and counts.first and counts.last:
        pipeline.roll_up_imported(project, datetime.fromisoformat(counts.first), datetime.fromisoformat(counts.last), progress)
        progress.say("learning what is normal")
        pipeline.learn_baselines(project.pk)
    checkpoint.delete()
    return _result(counts, rejects_path) | {"counting_s": round(monotonic() - stored, 3)}


@dataclass
class Counts:
    """What an import did so far, runs before a stop included. Times are ISO 8601 UTC."""

    read: int = 0
    imported: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first: str | None = None
    last: str | None = None

    def plus(self, report: pipeline.ImportReport) -> "Counts":
        """These and what a run reports."""
        times = [datetime.fromisoformat(text) for text in (self.first, self.last) if text]
        times += [moment for moment in (report.first, report.last) if moment]
        return Counts(
            read=self.read + report.read,
            imported=self.imported + report.imported,
            duplicates=self.duplicates + report.duplicates,
            rejected=dict(Counter(self.rejected) + report.rejected),
            first=min(times).isoformat() if times else None,
            last=max(times).isoformat() if times else None,
        )


@dataclass
class Checkpoint:
    """How far the import of one unchanged file has come; kept in the data directory until it is done."""

    path: Path
    counts: Counts = field(default_factory=Counts)
    rejects_bytes: int = 0

    @classmethod
    def of(cls, project: Project, format_name: str, source: Source, mapping: Path | None) -> "Checkpoint":
        """The checkpoint of this import, new or as it was left."""
        status = source.path.stat()
        identity = [project.pk, format_name, str(source.path), status.st_size, status.st_mtime_ns]
        if mapping is not None and mapping.is_file():
            identity.append(mapping.read_text())
        name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
        path = settings.DATA_DIR / "imports" / f"{name}.json"
        if not path.exists():
            return cls(path)
        kept = json.loads(path.read_text())
        return cls(path, Counts(**kept["counts"]), kept["rejects_bytes"])

    def save(self, counts: Counts, rejects_bytes: int) -> None:
        """Keep it; a crash leaves the old or the new one, never half."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps({"counts": asdict(counts), "rejects_bytes": rejects_bytes}))
        os.replace(draft, self.path)

    def delete(self) -> None:
        """The import is done: running it again reads the file anew and finds everything there already."""
        self.path.unlink(missing_ok=True)


def _store(
    project: Project,
    rows: Iterator[Message | bytes | Reject],
    source: Source,
    checkpoint: Checkpoint,
    rejects: IO[bytes],
    progress: Progress,
) -> Counts:
    before = checkpoint.counts
    if before.read:
        progress.say(f"going on after the {before.read:,} events of an earlier run")

    def reject(reason: str, raw: str) -> None:
        rejects.write(json.dumps({"reason": reason, "row": raw}, ensure_ascii=False).encode(errors="replace") + b"\n")

    def stored(report: pipeline.ImportReport) -> None:
        rejects.flush()
        counts = before.plus(report)
        checkpoint.save(counts, rejects.tell())
        progress("importing", source.done, source.size, counts.read, "events")

    return before.plus(pipeline.import_rows(project, islice(rows, before.read, None), reject, stored))


@contextmanager
def _rejects(path: Path, keep: int) -> Iterator[IO[bytes]]:
    """The rejects file, cut back to what the checkpoint knows of; gone again if nothing was rejected. Raises Error."""
    keep = keep if path.exists() else 0
    try:
        file = path.open("r+b" if keep else "wb")
    except OSError as error:
        raise Error(f"cannot write the rejects file {path}: {error.strerror}; choose another with --rejects") from None
    with file:
        file.truncate(keep)
        file.seek(0, os.SEEK_END)
        yield file
        empty = file.tell() == 0
    if empty:
        path.unlink()


def _rejects_path(file: Path) -> Path:
    """Beside the file; in the data directory where that may not be written."""
    folder = file.parent
    if not os.access(folder, os.W_OK):
        folder = settings.DATA_DIR / "imports"
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{file.name}.rejects.jsonl"


def _result(counts: Counts, rejects_path: Path) -> dict[str, Any]:
    return asdict(counts) | {"rejects_file": str(rejects_path) if counts.rejected else None}
