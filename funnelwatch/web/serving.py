"""What a process that answers requests keeps running beside them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from funnelwatch import pipeline

logger = logging.getLogger(__name__)

#: A revoked key is refused within this.
SNAPSHOT_SECONDS = 2.0


@contextmanager
def serving() -> Iterator[None]:
    """The stores open and ingest's picture of keys and settings fresh, for the block. Raises StoreUnavailable."""
    pipeline.ingest_app()  # before start: a process that takes events is one that drains them
    pipeline.start()
    ending = threading.Event()
    thread = threading.Thread(target=_keep_fresh, args=(ending,), name="snapshot", daemon=True)
    try:
        pipeline.refresh_snapshot()
        thread.start()
        yield
    finally:
        ending.set()
        if thread.is_alive():
            thread.join()
        pipeline.stop()


def _keep_fresh(ending: threading.Event) -> None:
    while not ending.wait(SNAPSHOT_SECONDS):
        try:
            pipeline.refresh_snapshot()
        except DatabaseError:
            # Ingest goes on with the last picture it has; the next round tries again.
            logger.exception("keys and settings could not be read")
        finally:
            connections.close_all()
