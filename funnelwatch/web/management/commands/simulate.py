"""`funnelwatch simulate`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.simulate import SCENARIOS, write
from funnelwatch.simulate.simulation import DEFAULT_SEED
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import moment
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Write a simulated shop's events, changes and the truth about its faults into files."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("scenario", nargs="?", help="one of --list")
        parser.add_argument("--list", action="store_true", help="say which scenarios there are")
        parser.add_argument("--out", metavar="DIR")
        parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="the same seed gives the same bytes")
        parser.add_argument("--days", type=float, help="days of history")
        parser.add_argument("--sessions-per-day", type=float)
        parser.add_argument("--start", metavar="T", help="ISO 8601")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if options["list"]:
            return {"scenarios": {name: scenario.title for name, scenario in SCENARIOS.items()}}
        name = options["scenario"]
        if name not in SCENARIOS:
            raise Error(f"there is no scenario {name!r}; there are: {', '.join(SCENARIOS)}" if name else "name a scenario, or --list them")
        if not options["out"]:
            raise Error("--out names the folder to write into")
        try:
            return write(
                name,
                Path(options["out"]),
                seed=options["seed"],
                days=options["days"],
                sessions_per_day=options["sessions_per_day"],
                start=moment(options["start"], "--start"),
                progress=lambda share, events: progress("simulating", share, 1.0, events, "events"),
            )
        except (ValueError, OSError) as error:
            raise Error(str(error)) from error

    def summary(self, result: dict[str, Any]) -> str:
        if "scenarios" in result:
            return "\n".join(f"{name:16} {title}" for name, title in result["scenarios"].items())
        return f"Wrote {result['events']:,} events, {result['from']} to {result['until']} (history until {result['history_until']})."
