"""`funnelwatch export`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Write events and roll-ups as Parquet, a folder a day (UTC). Run again it writes only the days that changed since."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("dir", metavar="DIR")
        parser.add_argument("--project", required=True)
        parser.add_argument("--from", metavar="T", help="ISO 8601; whole days (default: the first event)")
        parser.add_argument("--to", metavar="T", help="ISO 8601; whole days (default: the last event)")
        parser.add_argument("--dry-run", action="store_true", help="say which days would be written and removed; touch nothing")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        # Absolute, because another process with another working directory may carry it out.
        folder = str(Path(options["dir"]).absolute())
        return carry_out("export", {"dir": folder, **{name: options[name] for name in ("project", "from", "to", "dry_run")}}, progress)

    def summary(self, result: dict[str, Any]) -> str:
        if result["dry_run"]:
            tables = (f"{table}: {counts['written']:,} days would be written, {counts['removed']:,} removed" for table, counts in result["tables"].items())
            return "\n".join([f"Would export {result['project']} to {result['dir']}.", *tables])
        lines = [f"Exported {result['project']} to {result['dir']}, {result['first']} to {result['last']}."]
        for table, counts in result["tables"].items():
            removed = f", {counts['removed']} removed" if counts["removed"] else ""
            lines.append(f"{table}: {counts['days']:,} days, {counts['written']:,} written now{removed}; {counts['bytes'] / 1e6:,.1f} MB")
        return "\n".join(lines)
