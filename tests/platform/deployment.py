"""Server mode as docker-compose.yml has it, without the containers: web, worker and beat as processes, servers beside them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.platform.processes import START_SECONDS, wait_until
from tests.platform.services import free_port, postgresql, redis_server

ROOT = Path(__file__).parents[2]


@dataclass
class Deployment:
    """A running installation: `environment` is what commands need to reach its servers."""

    environment: Mapping[str, str]
    url: str
    logs: Path

    def log(self, name: str) -> str:
        """What `web`, `worker` or `beat` has said."""
        return (self.logs / f"{name}.log").read_text()


@contextmanager
def deployment(data: Path, clickhouse_url: str, **extra: str) -> Iterator[Deployment]:
    """Redis, PostgreSQL, and the three processes on top; ClickHouse is the caller's, and need not run yet."""
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        environment = {
            "CLICKHOUSE_URL": clickhouse_url,
            "CELERY_BROKER_URL": stack.enter_context(redis_server()),
            "DATABASE_URL": stack.enter_context(postgresql()),
            "FUNNELWATCH_SECRET_KEY": "for tests only, for tests only, for tests only",
            "FUNNELWATCH_DATA": str(data),
            **extra,
        }
        migrate = subprocess.run([_program("funnelwatch"), "init", "--project", "shop"], env=os.environ | environment)
        assert migrate.returncode == 0
        celery = [_program("celery"), "-A", "funnelwatch"]
        for name, command in {
            "worker": [*celery, "worker", "--loglevel", "INFO", "--concurrency", "1"],
            "beat": [*celery, "beat", "--loglevel", "INFO", "--pidfile="],
        }.items():
            stack.enter_context(_process(command, environment, data / f"{name}.log"))
        yield Deployment(environment, stack.enter_context(web_process(environment, data)), data)


@contextmanager
def web_process(environment: Mapping[str, str], data: Path) -> Iterator[str]:
    """A web process that keeps its spool in `data`, answering at the URL yielded; it writes `data/web.log`."""
    port = free_port()
    options = ["--no-access-log", "--http", "funnelwatch.web.connection:Connection", "--no-proxy-headers"]
    command = [_program("uvicorn"), "funnelwatch.asgi:application", "--port", str(port), *options]
    data.mkdir(parents=True, exist_ok=True)
    with _process(command, {**environment, "FUNNELWATCH_DATA": str(data)}, data / "web.log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), START_SECONDS, (data / "web.log").read_text)
        yield url


@contextmanager
def _process(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False
