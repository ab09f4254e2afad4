"""`funnelwatch erase`."""

from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.web.errors import Error
from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Erase a person or a time range from events, roll-ups and the spool, with a receipt. --dry-run shows what would go."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True)
        parser.add_argument("--person", metavar="ID", help="the user or anonymous id the shop sends, or the one the live view shows")
        parser.add_argument("--from", metavar="T", help="ISO 8601: erase all that happened from here")
        parser.add_argument("--to", metavar="T", help="ISO 8601: up to here")
        parser.add_argument("--dry-run", action="store_true", help="count what would go; erase nothing")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if bool(options["person"]) == bool(options["from"] or options["to"]) or bool(options["from"]) != bool(options["to"]):
            raise Error("say what to erase: --person ID, or --from T and --to T")
        return carry_out("erase", {name: options[name] for name in ("project", "person", "from", "to", "dry_run")}, progress)

    def summary(self, result: dict[str, Any]) -> str:
        what = f"person {result['person']}" if result["person"] else f"{result['from']} to {result['to']}"
        rows = ", ".join(f"{count:,} {table}" for table, count in result["rows"].items() if count) or "nothing stored"
        spool = f", {result['spool']:,} in spool files" if result["spool"] else ""
        if result["dry_run"]:
            return f"Would erase of {what}: {rows}{spool}. {result['minutes']:,} minutes would be rolled up again."
        missing = f" Not yet from the spool of {', '.join(result['open'])}, which did not answer: run it again." if result["open"] else ""
        return f"Erased of {what}: {rows}{spool}. {result['minutes']:,} minutes rolled up again, {result['left']:,} rows left. Receipt {result['receipt']}.{missing}"

    def failed(self, result: dict[str, Any]) -> bool:
        return bool(result["left"] or result["open"])
