"""A whole ingest node in this process: real HTTP on a free port, a real spool, a real drain into the real event store."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from funnelwatch.ingest.api import IngestApp
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.spool import Spool
from funnelwatch.store.client import Client
from funnelwatch.store.queries import recent
from funnelwatch.web.connection import Connection

KEY = "wk_test"


class Node:
    """One project's ingest over HTTP. `start_drain` is apart, so that tests can look into a full spool."""

    def __init__(self, directory: Path, store: Client, project_id: int, readers: int = 0, **settings: Any) -> None:
        self.directory, self.store, self.project_id = directory, store, project_id
        self.spool = Spool(directory, 10**9)
        self.app = IngestApp(Snapshot(keys={}), Readers(readers, self.spool))
        self.app.ingest = self.app
        self.configure(**settings)
        self.drain: Drain | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, port=self.port, http=Connection, log_level="warning", lifespan="off", proxy_headers=False,
                timeout_graceful_shutdown=1,
            )  # fmt: skip
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started)
        self.http = httpx.Client(base_url=self.url, auth=(KEY, ""), timeout=20)

    def configure(self, **settings: Any) -> None:
        """Replace the snapshot, as the pipeline does every two seconds."""
        self.app.snapshot = Snapshot(keys={KEY: KeyInfo(project_id=self.project_id, salt="salt", **settings)})

    def batch(self, *messages: Any, **extra: Any) -> httpx.Response:
        """POST a batch."""
        return self.http.post("/v1/batch", json={"batch": list(messages), **extra})

    def start_drain(self, client: Client | None = None, crowded: Callable[[], bool] | None = None) -> None:
        """Begin storing, into another client if given."""
        self.drain = Drain(self.directory, client or self.store, crowded or self.app.crowded)
        self.drain.start()

    def stored(self, count: int | None = None) -> list[dict[str, Any]]:
        """The project's rows of `events` once nothing waits any more (or once there are `count`)."""
        if self.drain is None:
            self.start_drain()
        wait_for(lambda: self.drain.stats().waiting_events == 0 and (count is None or self._count() >= count))
        return self.store.query(
            "SELECT * FROM events WHERE project_id = {project:UInt32} ORDER BY received_at, ts", {"project": self.project_id}
        ).dicts()

    def event(self, **message: Any) -> dict[str, Any]:
        """Send one message; the row it became."""
        message = {"type": "track", "event": "Test", "anonymousId": "visitor-1", **message}
        assert self.batch(message).json() == {"success": True}
        return self.stored(1)[-1]

    def live(self, count: int) -> list[dict[str, Any]]:
        """The live view, newest first, once it has `count` rows."""
        self.stored()
        wait_for(lambda: len(recent.latest(self.store, self.project_id)) >= count)
        return recent.latest(self.store, self.project_id)

    def close(self) -> None:
        """Stop everything."""
        self.http.close()
        self._server.should_exit = True
        self._thread.join(5)
        if self.drain is not None:
            self.drain.stop()
        self.spool.close()

    def _count(self) -> int:
        return self.store.query(
            "SELECT count() FROM events WHERE project_id = {project:UInt32}", {"project": self.project_id}
        ).scalar()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Returns when the condition holds. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {condition}"
        time.sleep(0.02)


def packed(document: Any) -> bytes:
    """Gzipped JSON."""
    return gzip.compress(json.dumps(document).encode())


@pytest.fixture
def node(tmp_path: Path, store: Client, project_id: int) -> Iterator[Node]:
    """An ingest node for one project of its own."""
    started = Node(tmp_path / "spool", store, project_id)
    yield started
    started.close()
