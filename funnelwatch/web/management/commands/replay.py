"""`funnelwatch replay`."""

from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.management.commands.incidents import lines
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Run the minute jobs over stored history on a simulated clock, and show the incidents they open."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True)
        parser.add_argument("--from", metavar="T", help="ISO 8601 (default: 14 days after the first event)")
        parser.add_argument("--to", metavar="T", help="ISO 8601 (default: the last event)")
        parser.add_argument("--notify", choices=["none", "record", "live"], default="none", help="what to do with alerts (default none)")
        parser.add_argument("--dry-run", action="store_true", help="say what of the replay before would go; change nothing")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        return carry_out("replay", {name: options[name] for name in ("project", "from", "to", "notify", "dry_run")}, progress)

    def summary(self, result: dict[str, Any]) -> str:
        if "replaced" in result:
            gone = ", ".join(f"{count:,} {name}" for name, count in result["replaced"].items() if count) or "nothing, there was none"
            return f"Would replay {result['project']} from {result['from']} to {result['to']} and remove of the replay before: {gone}."
        return "\n".join([f"Replayed {result['project']} from {result['from']} to {result['to']}.", *lines(result["incidents"])])
