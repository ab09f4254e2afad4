"""FunnelWatch as its users run it: real processes, a data directory each."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.platform.services import free_port

PROGRAM = str(Path(sys.executable).with_name("funnelwatch"))
#: A loaded machine takes this long to import the statistics libraries.
START_SECONDS = 60
#: For one command; the longest, an import of fourteen days, takes two minutes alone.
SLOWEST = 600


def run(*arguments: object, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command from start to end."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], env=_environment(data, environment), capture_output=True, text=True, timeout=SLOWEST
    )


def result(*arguments: object, data: Path, **environment: str) -> dict[str, Any]:
    """What a command that has to succeed prints with --json."""
    done = run(*arguments, "--json", data=data, **environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def python(code: str, data: Path, **environment: str) -> str:
    """Output of Python code in a process of its own, with Django set up."""
    start = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'funnelwatch.settings'; django.setup()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code], env=_environment(data, environment), capture_output=True, text=True, timeout=SLOWEST
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout


def stored_ids(data: Path) -> list[str]:
    """Message ids in the event store of a directory that no process has open."""
    code = (
        "from funnelwatch.store import client\nfrom django.conf import settings\n"
        "store = client.connect(settings.CLICKHOUSE_URL.removeprefix('chdb://'))\n"
        "print(*store.query('SELECT message_id FROM events FINAL').columns[0], sep='\\n')"
    )
    return python(code, data).split()


@dataclass
class Up:
    """A running `funnelwatch up`."""

    process: subprocess.Popen[bytes]
    url: str
    port: int
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; seconds until the process has ended."""
        start = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        return time.monotonic() - start


@contextmanager
def up(data: Path, command: str = "up", ready_within: float = START_SECONDS, **environment: str) -> Iterator[Up]:
    """`funnelwatch up`, or `demo`, on a free port, ready."""
    port = free_port()
    log = data / "up.log"
    data.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [PROGRAM, command, "--port", str(port)], env=_environment(data, environment), stdout=output, stderr=output
        )
    running = Up(process, f"http://127.0.0.1:{port}", port, log)
    try:
        wait_until(lambda: _answers(running), ready_within, lambda: log.read_text())
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def wait_until(done: Callable[[], object], seconds: float, explain: Callable[[], str] = str) -> None:
    """Ask every tenth of a second; fails with what `explain` says."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def _answers(running: Up) -> bool:
    assert running.process.poll() is None, running.log.read_text()
    try:
        return httpx.get(f"{running.url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _environment(data: Path, extra: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FUNNELWATCH_")}
    return ours | {"FUNNELWATCH_DATA": str(data)} | dict(extra)
