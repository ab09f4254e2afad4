"""Processes that compute for this one, and end with it."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def pool(count: int) -> ProcessPoolExecutor:
    """`count` fresh processes. What they run has to stand in a module that imports without Django."""
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A child waits at a pipe it holds both ends of, so by itself it would outlive a parent that is killed."""

    def watch() -> None:
        parent = parent_process()
        assert parent is not None, "runs in a child"
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
