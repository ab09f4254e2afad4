"""Processes that compute for this one, and end with it."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process, get_context, parent_process
from typing import TypeVar

from funnelwatch.core import collector

T = TypeVar("T")


def pool(count: int) -> ProcessPoolExecutor:
    """`count` fresh processes. What they run has to stand in a module that imports without Django."""
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)


def apart(work: Callable[..., T], *arguments: object) -> T:
    """`work(*arguments)` in a child, so that this process's threads go on meanwhile. In a worker that may have none, here."""
    if current_process().daemon:
        return work(*arguments)
    with pool(1) as child:
        return child.submit(work, *arguments).result()


def _begin() -> None:
    end_with_parent()
    collector.spare()


def end_with_parent() -> None:
    """For a child: it may wait at a pipe it holds both ends of, so by itself it would outlive a parent that is killed."""

    def watch() -> None:
        parent = parent_process()
        assert parent is not None, "runs in a child"
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
