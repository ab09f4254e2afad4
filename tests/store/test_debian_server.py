"""The driver against a real server process: Debian's ClickHouse of 2018, with the plain tables it knows."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from funnelwatch.store.client import StoreError, StoreUnavailable
from funnelwatch.store.server import NativeClient

_BINARY = shutil.which("clickhouse-server")
#: Where tests decide on a change they run or fail.
pytestmark = pytest.mark.skipif(_BINARY is None and "CI" not in os.environ, reason="Debian's clickhouse-server is not installed")

_CONFIG = """<yandex>
  <logger><level>warning</level><log>{dir}/log</log><errorlog>{dir}/err</errorlog></logger>
  <listen_host>127.0.0.1</listen_host><tcp_port>{port}</tcp_port>
  <path>{dir}/data/</path><tmp_path>{dir}/tmp/</tmp_path><users_config>users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>5368709</mark_cache_size>
</yandex>"""
_USERS = """<yandex>
  <profiles><default></default></profiles><quotas><default></default></quotas>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</yandex>"""


class Server:
    """A server process that can be killed and started again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._config = folder / "config.xml"
        self._config.write_text(_CONFIG.format(dir=folder, port=self.port))
        (folder / "users.xml").write_text(_USERS)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([str(_BINARY), f"--config-file={self._config}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError("clickhouse-server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def jammed(port: int, after_bytes: int) -> Iterator[tuple[int, threading.Event]]:
    """A way to the server for one client that lets `after_bytes` through and then no more; yields its port and what is set by then."""
    stuck = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(("127.0.0.1", port)) as behind:

        def there(ahead: socket.socket) -> None:
            sent = 0
            while sent < after_bytes and (data := ahead.recv(65_536)):
                behind.sendall(data)
                sent += len(data)
            stuck.set()

        def and_back() -> None:
            ahead, _ = door.accept()
            with ahead:
                threading.Thread(target=there, args=(ahead,), daemon=True).start()
                with suppress(ConnectionError):
                    while data := behind.recv(65_536):
                        ahead.sendall(data)

        threading.Thread(target=and_back, daemon=True).start()
        yield door.getsockname()[1], stuck


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("clickhouse"))
    yield made
    made.kill()


@pytest.fixture
def client(server: Server) -> Iterator[NativeClient]:
    made = NativeClient(f"clickhouse://default@127.0.0.1:{server.port}/default?connect_timeout=2&send_receive_timeout=5")
    made.command("CREATE TABLE IF NOT EXISTS plain (id UInt32, name String) ENGINE = MergeTree ORDER BY id")
    yield made
    made.close()


def test_a_block_goes_in_and_comes_out(client: NativeClient) -> None:
    client.insert("plain", {"id": [1, 2], "name": ["a'b", "ü\n"]})
    assert list(client.query("SELECT id, name FROM plain WHERE id < 10 ORDER BY id")) == [(1, "a'b"), (2, "ü\n")]
    assert client.arrays("SELECT id FROM plain WHERE id < 10 ORDER BY id")["id"].tolist() == [1, 2]


def test_a_refusal_names_the_servers_code_and_the_connection_goes_on(client: NativeClient) -> None:
    with pytest.raises(StoreError) as refused:
        client.query("SELECT * FROM nowhere")
    assert refused.value.code == 60
    assert client.query("SELECT 1").scalar() == 1


def test_a_killed_server_is_unavailable_and_a_restarted_one_is_used_again(server: Server, client: NativeClient) -> None:
    client.insert("plain", {"id": [100], "name": ["before"]})
    server.kill()
    with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{server.port}.*CLICKHOUSE_URL"):
        client.query("SELECT 1")
    server.start()
    assert client.query("SELECT name FROM plain WHERE id = 100").scalar() == "before"


def test_a_server_killed_in_mid_insert_leaves_nothing_of_the_block(server: Server, client: NativeClient) -> None:
    rows = 400_000
    outcome: list[str] = []

    def insert(through: NativeClient) -> None:
        try:
            through.insert("plain", {"id": list(range(1_000, 1_000 + rows)), "name": ["x" * 50] * rows})
            outcome.append("stored")
        except StoreUnavailable:
            outcome.append("unavailable")
        through.close()

    with jammed(server.port, after_bytes=2_000_000) as (port, stuck):
        worker = threading.Thread(target=insert, args=(NativeClient(f"clickhouse://default@127.0.0.1:{port}/default"),))
        worker.start()
        assert stuck.wait(30)
        at_work = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO plain%'"
        assert client.query(at_work).scalar() == 1
        server.kill()
        worker.join()
    server.start()
    assert outcome == ["unavailable"]
    assert client.query("SELECT count() FROM plain WHERE id >= 1000").scalar() == 0


def test_a_server_that_hangs_is_unavailable_within_the_time_out(server: Server) -> None:
    hurried = NativeClient(f"clickhouse://default@127.0.0.1:{server.port}/default?connect_timeout=1&send_receive_timeout=1")
    assert hurried.query("SELECT 1").scalar() == 1
    server.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            hurried.query("SELECT 1")
        assert time.monotonic() - started < 20
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert hurried.query("SELECT 1").scalar() == 1
    hurried.close()
