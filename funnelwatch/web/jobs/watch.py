"""The live watch over minutes that have passed, each judged as it was known then: as if FunnelWatch had been running."""

from datetime import datetime
from typing import Any

from funnelwatch import pipeline
from funnelwatch.web.lookup import project_named
from funnelwatch.web.progress import Progress


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{project, from, to}`, ISO 8601 with zone, to `{"incidents"}`, how many are open at the end. Raises Error."""
    start, end = datetime.fromisoformat(options["from"]), datetime.fromisoformat(options["to"])
    return {"incidents": pipeline.watch_past(project_named(options["project"]), start, end, progress)}
