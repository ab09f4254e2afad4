"""`funnelwatch demo`."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from django.conf import settings
from django.core.management.base import CommandParser

from funnelwatch.changes import ledger
from funnelwatch.core import clock
from funnelwatch.core.funnel import default_steps
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import Project
from funnelwatch.projects.setup import create_project
from funnelwatch.simulate import Simulation
from funnelwatch.web.demo import visitors
from funnelwatch.web.demo.plan import Plan
from funnelwatch.web.errors import Error
from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress

START_SECONDS = 60
STOP_SECONDS = 12
#: How often the plan is brought up to date while the shop is open; what was told twice counts once.
SAVE_EVERY = timedelta(seconds=20)


class Command(Base):
    help = "Run FunnelWatch with a simulated shop: history, live visitors, and an incident in progress. Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_data_argument(parser)
        parser.add_argument("--port", type=int, default=8000, help="default 8000")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise Error("the demo is for embedded mode; unset CLICKHOUSE_URL, DATABASE_URL and CELERY_BROKER_URL")
        from funnelwatch.web.embedded.runner import listen  # Celery's application belongs to `up` only

        listen("127.0.0.1", options["port"]).close()
        for wanted in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background job was started deaf to SIGINT
            signal.signal(wanted, signal.default_int_handler)
        try:
            self._run(options["port"], self.progress())
        except KeyboardInterrupt:
            self.stderr.write("The demo has stopped; `make demo` goes on with the same data.")

    def _run(self, port: int, progress: Progress) -> None:
        path = settings.DATA_DIR / "demo.json"
        prepare_database()
        known = Plan.load(path)
        plan = known or _new_shop(Plan.new(), path)
        simulation = plan.simulation()
        until = clock.now()
        _tell_changes(simulation, plan.told_until if known else "", until)
        # Before `up` starts: its ticks would roll up a history that is still growing.
        _tell_history(simulation, plan, until, progress)
        if known is None:  # a new shop's trouble has begun already, and would have been found by now
            span = {"from": simulation.history_until.isoformat(), "to": until.isoformat()}
            carry_out("watch", {"project": simulation.scenario.project} | span, progress)
            progress.end()
        plan.told_until = until.isoformat()
        plan.save(path)
        url = f"http://localhost:{port}"
        with _product(port, url):
            self.stderr.write(
                f"\n  FunnelWatch   {url}\n"
                f"  sign in       {plan.email} / {plan.password}\n"
                f"  the shop      {url}/demo/   (its visitors are simulated; be one more)\n\n"
                "  Payments began to fail for some of them a few minutes ago. Ctrl-C stops the demo.\n"
            )
            visitors.shop(simulation, until, url, plan.write_key, self._teller(plan, path, url))

    def _teller(self, plan: Plan, path: Path, url: str) -> Callable[[datetime], None]:
        """Keeps the plan up to date while the shop is open, and says which incidents have opened."""
        said: set[int] = set()

        def told(moment: datetime) -> None:
            if moment - datetime.fromisoformat(plan.told_until) < SAVE_EVERY:
                return
            _tell_changes(plan.simulation(), plan.told_until, moment)
            plan.told_until = moment.isoformat()
            plan.save(path)
            for incident in Incident.objects.filter(resolved_at=None).exclude(pk__in=said):
                said.add(incident.pk)
                self.stderr.write(f"  {incident} {incident.title}: {url}/incidents/{incident.pk}/")

        return told


@contextmanager
def _product(port: int, url: str) -> Iterator[None]:
    """`funnelwatch up` as a process beside, answering. Raises Error when it ends instead; what it said stands above that."""
    program = Path(sys.executable).with_name("funnelwatch")
    environment = os.environ | {"FUNNELWATCH_DEMO": "true", "FUNNELWATCH_DATA": str(settings.DATA_DIR)}
    process = subprocess.Popen([program, "up", "--port", str(port)], env=environment)
    try:
        _wait_for(url, process)
        yield
    finally:
        # Once is enough: a second signal must not cut the stopping short.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Error("the demo needs `funnelwatch up`, which did not start")
        try:
            httpx.get(f"{url}/healthz", timeout=2)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise Error(f"`funnelwatch up` does not answer at {url} after {START_SECONDS} s")


def _new_shop(plan: Plan, path: Path) -> Plan:
    """The project."""
    simulation = plan.simulation()
    scenario = simulation.scenario
    made = create_project(scenario.project, plan.timezone, scenario.shop.currency, default_steps(), "demo@localhost")
    Project.objects.filter(pk=made.project.pk).update(title=scenario.shop.name)
    plan.write_key, plan.email, plan.password = made.write_key, made.admin_email, made.admin_password or ""
    plan.save(path)
    return plan


def _tell_changes(simulation: Simulation, since: str, until: datetime) -> None:
    """What was deployed and configured between these times (`since` ISO 8601, empty: ever); tomorrow's release is not known today."""
    project = Project.objects.get(name=simulation.scenario.project)
    for change in map(ledger.clean, simulation.changes()):
        if (not since or change["started_at"] > datetime.fromisoformat(since)) and change["started_at"] <= until:
            ledger.upsert(project, change)


def _tell_history(simulation: Simulation, plan: Plan, until: datetime, progress: Progress) -> None:
    """What the shop's visitors did since the plan was last told, as a file and by `import`, as any shop's history."""
    since = datetime.fromisoformat(plan.told_until)
    file = settings.DATA_DIR / "demo-history.jsonl.gz"
    encode, events = msgspec.json.Encoder().encode_lines, 0
    with gzip.open(file, "wb", compresslevel=1) as lines:
        for block in simulation.blocks(since, until):
            lines.write(encode([message for _, _, _, message in block]))
            events += len(block)
            done = clock.from_ms(block[-1][0]) - since
            progress("making up a history", done.total_seconds(), (until - since).total_seconds(), events, "events")
    if events:
        wanted = {"file": str(file), "project": simulation.scenario.project, "format": "segment", "map": None, "rejects": None}
        carry_out("import", wanted, progress)
    progress.end()
    file.unlink()
