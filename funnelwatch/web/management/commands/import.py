"""`funnelwatch import`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.ingest.formats import FORMATS
from funnelwatch.web.errors import Error
from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Take in history from a file (plain or gzipped). May be stopped and run again: it goes on, and counts nothing twice."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file")
        parser.add_argument("--project", required=True)
        parser.add_argument("--format", required=True, choices=list(FORMATS))
        parser.add_argument("--map", metavar="MAPPING.toml", help="what the columns of a csv file mean")
        parser.add_argument("--rejects", metavar="PATH", help="where rows go that cannot be read (default: beside FILE)")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        file = Path(options["file"]).absolute()
        if not file.is_file():
            raise Error(f"there is no file {file}")
        # Absolute, because another process with another working directory may carry it out.
        paths = {name: str(Path(options[name]).absolute()) if options[name] else None for name in ("map", "rejects")}
        wanted = {"file": str(file), "project": options["project"], "format": options["format"], **paths}
        result = carry_out("import", wanted, progress)
        if not result["imported"] and not result["duplicates"]:
            reasons = ", ".join(f"{reason} {count}" for reason, count in result["rejected"].items()) or "it is empty"
            raise Error(f"nothing in {file} could be read as {options['format']}: {reasons}")
        return result

    def summary(self, result: dict[str, Any]) -> str:
        text = f"Imported {result['imported']:,} of {result['read']:,} events, {result['first']} to {result['last']}."
        if result["duplicates"]:
            text += f"\n{result['duplicates']:,} were there already."
        if result["rejected"]:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in result["rejected"].items())
            text += f"\n{sum(result['rejected'].values()):,} rejected ({reasons}); kept in {result['rejects_file']}"
        return text
