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

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        return carry_out("replay", {name: options[name] for name in ("project", "from", "to", "notify")}, progress)

    def summary(self, result: dict[str, Any]) -> str:
        return "\n".join([f"Replayed {result['project']} from {result['from']} to {result['to']}.", *lines(result["incidents"])])
