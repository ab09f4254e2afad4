"""Redis and PostgreSQL from Debian's packages, on free ports, in folders of their own, for tests of server mode."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import redis

START_SECONDS = 30


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis server; yields its URL."""
    port = free_port()
    with TemporaryDirectory(prefix="fw-redis-") as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _running(command, Path(folder)):
            url = f"redis://127.0.0.1:{port}/0"
            _wait(lambda: redis.Redis.from_url(url).ping(), redis.ConnectionError)
            yield url


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with an empty database; yields its URL. As root it runs as another user, as PostgreSQL demands."""
    port = free_port()
    with TemporaryDirectory(prefix="fw-postgres-") as name:
        folder = Path(name)
        as_owner = _give_away(folder)
        data = folder / "data"
        options = ["--auth=trust", "--username=funnelwatch", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([*as_owner, _program("initdb"), f"--pgdata={data}", *options], check=True, capture_output=True, cwd="/")
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _running([*as_owner, _program("postgres"), "-D", str(data), *flags], folder):
            url = f"postgresql://funnelwatch@127.0.0.1:{port}/postgres"
            _wait(lambda: psycopg.connect(url).close(), psycopg.OperationalError)
            yield url


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's programs off the PATH, a folder a version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, "PostgreSQL is missing: apt-get install postgresql"
    return path


def _give_away(folder: Path) -> list[str]:
    """What to put before a command so that it runs as the folder's new owner; nothing where we are no root."""
    if os.getuid() != 0:
        return []
    known = {entry.pw_name for entry in pwd.getpwall()}
    owner = "postgres" if "postgres" in known else "nobody"
    shutil.chown(folder, owner)
    return ["setpriv", f"--reuid={owner}", f"--regid={pwd.getpwnam(owner).pw_gid}", "--clear-groups", "--"]


@contextmanager
def _running(command: list[str], folder: Path, cwd: Path = Path("/")) -> Iterator[None]:
    # Beside the data, not to a pipe: nobody reads a pipe while the tests run.
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=cwd)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL waits for its clients on SIGTERM
        process.wait(timeout=20)


def _wait(ready: Callable[[], object], not_yet: type[Exception]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ready()
            return
        except not_yet:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def clickhouse(folder: Path, port: int) -> Iterator[str]:
    """Today's ClickHouse engine over the native protocol, as a process of its own on `folder`; yields its URL."""
    code = (
        "import sys, signal\nfrom funnelwatch.store.embedded import ChdbClient\n"
        "from tests.store.native_server import NativeServer\n"
        "server = NativeServer(ChdbClient(sys.argv[1]), int(sys.argv[2]))\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit())\n"
        "server.serve_forever()"
    )
    folder.mkdir(exist_ok=True)
    root = Path(__file__).parents[2]
    with _running([sys.executable, "-c", code, str(folder / "chdb"), str(port)], folder, cwd=root):
        _wait(lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close(), OSError)
        yield f"clickhouse://default@127.0.0.1:{port}/default"
