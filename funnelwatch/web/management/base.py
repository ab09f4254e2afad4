"""What FunnelWatch's commands have in common: `--json`, progress and a summary on standard error."""

import json
import sys
from typing import Any

from django.core.management import BaseCommand
from django.core.management.base import CommandParser

from funnelwatch.web.progress import LOG_SECONDS, TERMINAL_SECONDS, Progress


class Command(BaseCommand):
    """A command: `work` gives the result, `summary` says it in words on standard error, `--json` prints it on standard output."""

    requires_system_checks: list[str] = []
    # They work, but to a user of FunnelWatch they are noise in --help.
    suppressed_base_arguments = {
        "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
    }  # fmt: skip

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser("funnelwatch", subcommand, **kwargs)
        parser.prog = f"funnelwatch {subcommand}"
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_data_argument(parser)
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object on standard output")

    def add_data_argument(self, parser: CommandParser) -> None:
        """`--data`, which cli.py takes out before Django reads its settings; here only for --help."""
        parser.add_argument("--data", metavar="DIR", help="data directory (default: FUNNELWATCH_DATA, else ./var)")

    def handle(self, *args: Any, **options: Any) -> None:
        progress = self.progress()
        result = self.work(options, progress)
        progress.end()
        if self.stderr.isatty():
            self.stderr.write("\r\x1b[K", ending="")
        self.stderr.write(self.summary(result), self.style.NOTICE if self.stderr.isatty() else None)
        if options["json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
        if self.failed(result):
            sys.exit(1)

    def progress(self) -> Progress:
        """Onto standard error, as often as its reader wants it."""
        return Progress(self._line, TERMINAL_SECONDS if self.stderr.isatty() else LOG_SECONDS)

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Do it. Raises Error."""
        raise NotImplementedError

    def summary(self, result: dict[str, Any]) -> str:
        """The result in words for a reader."""
        raise NotImplementedError

    def failed(self, result: dict[str, Any]) -> bool:
        """Whether the result means a non-zero exit."""
        return False

    def _line(self, text: str) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{text}", lambda x: x, ending="")
            self.stderr.flush()
        else:
            self.stderr.write(text)
