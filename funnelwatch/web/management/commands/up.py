"""`funnelwatch up`."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from funnelwatch.projects.models import Project
from funnelwatch.web.errors import Error
from funnelwatch.web.management.base import Command as Base


class Command(Base):
    help = "Run FunnelWatch: web, worker and schedule in one process. Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_data_argument(parser)
        parser.add_argument("--port", type=int, default=8000, help="default 8000")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every one (default 127.0.0.1)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise Error("`up` is the embedded mode; in server mode run uvicorn and celery (see docker-compose.yml)")
        from funnelwatch.web.embedded import runner  # Celery's application belongs to this command only

        port = options["port"]
        if not os.environ.get("FUNNELWATCH_PUBLIC_URL"):
            settings.PUBLIC_URL = f"http://localhost:{port}"
        runner.run(options["host"], port, self._ready)
        self.stderr.write("FunnelWatch has stopped.")

    def _ready(self) -> None:
        self.stderr.write(f"FunnelWatch is running: {settings.PUBLIC_URL} (data in {settings.DATA_DIR}); Ctrl-C stops it.")
        if not Project.objects.exists():
            self.stderr.write("There is no project yet: run `funnelwatch init --project shop` beside it.")
