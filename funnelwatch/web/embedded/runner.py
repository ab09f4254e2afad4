"""`funnelwatch up`: web, worker and beat in one process."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import uvicorn
from django.conf import settings

from funnelwatch.celery import embedded_jobs
from funnelwatch.ingest.geo import GeoFileError
from funnelwatch.store.client import StoreError
from funnelwatch.web.connection import Connection
from funnelwatch.web.embedded import calls, lock
from funnelwatch.web.errors import Error
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.serving import serving

logger = logging.getLogger(__name__)

#: A Python-heavy job may keep the interpreter this long before a request gets its turn. With the default of 5 ms, one busy
#: thread cuts a bare echo from 9,238 to 126 requests a second; with this it keeps 3,620.
SWITCH_SECONDS = 0.0002

#: What has not ended by then is cut off. Nothing is lost: acknowledged events are on disk, jobs repeat.
STOP_SECONDS = 9.0


def run(host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once requests are answered.

    Raises Error when the port is taken, the data directory is another's, a store cannot be opened or is newer than this version.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    listener = listen(host, port)
    port = listener.getsockname()[1]
    with ExitStack() as stack:
        stack.enter_context(listener)
        try:
            stack.enter_context(lock.hold(settings.DATA_DIR, "up", port))
        except lock.Held as held:
            at = f", port {held.owner.port}" if held.owner.port else ""
            raise Error(
                f"{settings.DATA_DIR} is in use by `funnelwatch {held.owner.command}` (process {held.owner.pid}{at}): "
                "stop that one, or give this one another --data"
            ) from None
        prepare_database()
        try:
            stack.enter_context(serving())
        except (StoreError, GeoFileError) as error:
            raise Error(str(error)) from error
        stack.enter_context(calls.serving(settings.DATA_DIR))
        stack.enter_context(embedded_jobs())
        # uvicorn raises the signals that stopped it once more when it is done; by then the end is under way.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        _Server(ready).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address: before anything is opened, so that a taken port costs nothing. Raises Error."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Error(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, and that ends in time whatever still runs."""

    def __init__(self, ready: Callable[[], None]) -> None:
        # The stores are open already and close after the jobs that use them, so not in the application's lifespan.
        super().__init__(
            uvicorn.Config(
                "funnelwatch.asgi:application", http=Connection, lifespan="off", log_config=None, access_log=False,
                proxy_headers=False,  # who is a trusted proxy is FUNNELWATCH_TRUSTED_PROXIES' to say, not uvicorn's
                timeout_graceful_shutdown=3,
            )  # fmt: skip
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await asyncio.to_thread(self._ready)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        timer = threading.Timer(STOP_SECONDS, _cut_off)
        timer.daemon = True
        timer.start()


def _cut_off() -> None:
    logger.warning("jobs still ran %.0f s after the signal to stop; they will be repeated at the next start", STOP_SECONDS)
    os._exit(0)
