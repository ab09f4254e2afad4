"""What a process that answers requests keeps running beside them."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connections

from funnelwatch import pipeline
from funnelwatch.core import collector
from funnelwatch.ingest import geo
from funnelwatch.store.client import StoreUnavailable

logger = logging.getLogger(__name__)

#: A revoked key is refused within this.
SNAPSHOT_SECONDS = 2.0


@contextmanager
def serving() -> Iterator[None]:
    """The stores open and ingest's picture of keys and settings fresh, for the block.

    With a ClickHouse server that cannot be reached the block runs all the same: events wait in the spool until it can be.
    Raises StoreUnavailable when the embedded store cannot be opened, GeoFileError when the operator's file of regions cannot.
    """
    pipeline.ingest_app()  # before start: a process that takes events is one that drains them
    ending = threading.Event()
    thread = threading.Thread(target=_keep_fresh, args=(ending,), name="snapshot", daemon=True)
    try:
        geo.load()
        _open_store()
        pipeline.refresh_snapshot()
        thread.start()
        collector.spare()
        yield
    finally:
        ending.set()
        if thread.is_alive():
            thread.join()
        pipeline.stop()


def _open_store() -> None:
    try:
        pipeline.start()
    except StoreUnavailable as error:
        if settings.EMBEDDED:
            raise
        logger.warning("%s Events wait in the spool.", error)


def _carry_out_orders() -> None:
    try:
        pipeline.carry_out_orders()
    except (pipeline.StillBusy, sqlite3.Error, OSError):
        # Whoever waits for it names this node as the one that has not answered; the next round tries again.
        logger.exception("an erasure could not be carried out in this node's spool")


def _keep_fresh(ending: threading.Event) -> None:
    while not ending.wait(SNAPSHOT_SECONDS):
        try:
            pipeline.refresh_snapshot()
            _open_store()  # nothing to do where it is open
            _carry_out_orders()
        except DatabaseError:
            # Ingest goes on with the last picture it has; the next round tries again.
            logger.exception("keys and settings could not be read")
        finally:
            connections.close_all()
