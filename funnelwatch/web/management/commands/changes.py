"""`funnelwatch changes import`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.changes import ledger
from funnelwatch.ingest.formats.source import Source
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import project_named
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Take in deploys, campaigns, flags and other changes from a JSONL file (plain or gzipped), one change a line."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("action", choices=["import"])
        parser.add_argument("file")
        parser.add_argument("--project", required=True)

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        file = Path(options["file"])
        if not file.is_file():
            raise Error(f"there is no file {file}")
        prepare_database()
        project = project_named(options["project"])
        source = Source(file)
        counts = ledger.import_lines(
            project, source.lines(), lambda read: progress("changes", source.done, source.size, read, "changes")
        )
        for error in counts["errors"]:
            progress.say(error)
        if not counts["imported"] and not counts["updated"]:
            raise Error(f"nothing in {file} could be read as a change")
        return counts

    def summary(self, result: dict[str, Any]) -> str:
        return f"Changes: {result['imported']:,} new, {result['updated']:,} updated, {result['rejected']:,} rejected."
