"""The Python SDK and a local server that fails in every way a server can."""

import contextlib
import gzip
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SDK = ROOT / "sdk" / "python"
sys.path.insert(0, str(SDK))

from funnelwatch_sdk import Client  # noqa: E402 (not installed beside the product)


@dataclass
class Collector:
    """What arrived, and what to answer next: a status, `(status, headers, body)`, "reset" or "slow"."""

    url: str = ""
    batches: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch["batch"]]

    @property
    def ids(self) -> set[str]:
        return {event["messageId"] for event in self.events}


@pytest.fixture
def collector() -> Iterator[Collector]:
    state = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
            answer = state.script.pop(0) if state.script else 200
            state.times.append(time.monotonic())
            state.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, len(raw)))
            status, headers, content = answer if isinstance(answer, tuple) else (answer, {}, b'{"success": true}')
            if status in (200, "reset", "slow"):  # stored, whatever the client hears of it
                state.batches.append(json.loads(body))
            if status == "reset":
                self.close_connection = True
                self.connection.close()
                return
            if status == "slow":
                time.sleep(0.6)
                status = 200
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client had given up waiting
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def errors() -> list[Exception]:
    return []


@pytest.fixture
def connect(collector: Collector, errors: list[Exception]) -> Iterator[Callable[..., Client]]:
    clients = []

    def _connect(**options: Any) -> Client:
        defaults = {
            "flush_interval": 0.05,
            "first_wait": 0.02,
            "timeout": 2.0,
            "exit_timeout": 2.0,
            "on_error": errors.append,
        }
        clients.append(Client("wk_test", collector.url, **(defaults | options)))
        return clients[-1]

    yield _connect
    for client in clients:
        client.close(0.1)
