"""The server that `benchmarks.ingest` measures: ingest with drain and store, a bare echo and a no-op Django view, on one uvicorn.

`python -m benchmarks._ingest_server DIR` prints its port. `/control/...` answers what the measurement needs to know.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import django
import uvicorn
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from funnelwatch import config
from funnelwatch.core import collector
from funnelwatch.ingest import geo
from funnelwatch.ingest.api import IngestApp, handles
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.spool import Spool
from funnelwatch.store.client import Client, connect
from funnelwatch.store.migrate import migrate
from funnelwatch.web.connection import Connection


async def noop(request: HttpRequest) -> HttpResponse:
    """The least a Django view can do."""
    return HttpResponse(b'{"success": true}', content_type="application/json")


urlpatterns = [path("noop", noop)]


class Server:
    """Routes by path, as the product's own `asgi.py` does."""

    def __init__(self, directory: Path) -> None:
        self._client: Client = connect(directory / "chdb")
        migrate(self._client)
        self._spool_directory = directory / "spool"
        readers = Readers(config.get_int("readers"), Spool(self._spool_directory, 20 * 2**30))
        self.ingest = IngestApp(Snapshot(keys={"wk": KeyInfo(project_id=1, salt="salt")}), readers)
        self._drain: Drain | None = None
        self._start_drain()
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none", MIDDLEWARE=PRODUCT_MIDDLEWARE)
        django.setup(set_prefix=False)
        from django.core.asgi import get_asgi_application  # needs settings

        self._django = get_asgi_application()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        where = scope["path"]
        if handles(where):
            await self.ingest(scope, receive, send)
        elif where == "/echo":
            message = await receive()
            await _answer(send, message["body"])
        elif where == "/noop":
            await self._django(scope, receive, send)
        else:
            await _answer(send, json.dumps(self._control(where)).encode())

    def _control(self, where: str) -> Any:
        if where == "/control/status":
            status = self._drain.stats() if self._drain else None
            return {"waiting": status.waiting_events if status else -1, "error": self._drain.last_error if self._drain else ""}
        if where == "/control/stored":
            stored, distinct = next(iter(self._client.query("SELECT count(), uniqExact(message_id) FROM events")))
            return {"stored": stored, "distinct": distinct}
        if where == "/control/stop_drain":
            self._drain.stop()
            self._drain = None
        elif where == "/control/start_drain":
            self._start_drain()
        return {}

    def _start_drain(self) -> None:
        self._drain = Drain(self._spool_directory, self._client, self.ingest.crowded)
        self._drain.start()


PRODUCT_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


async def _answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main(directory: Path) -> None:
    """Serve until the parent goes away."""
    server = uvicorn.Server(uvicorn.Config(Server(directory), port=0, http=Connection, log_level="warning", lifespan="off", access_log=False, proxy_headers=False))
    server.config.load()
    socket = server.config.bind_socket()
    socket.listen(1024)  # who reads the port may connect at once
    geo.load()
    sys.setswitchinterval(0.0002)  # as `funnelwatch up`: the drain may not hold the event loop for long
    collector.spare()
    sys.stdout.write(f"{socket.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.run(sockets=[socket])


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
