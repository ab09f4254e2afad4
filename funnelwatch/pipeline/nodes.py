"""Erasing on every node: an order is a row, each node carries it out on its own disk and answers with a row.

A node answers when all it had spooled before the order is in the store, where the eraser finds it, and gone from the node's files.
"""

from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.conf import settings

from funnelwatch.core import clock
from funnelwatch.ingest import erasing, privacy, segments
from funnelwatch.ingest.erasing import Mine
from funnelwatch.projects.models import ErasureAnswer, ErasureOrder
from funnelwatch.store.client import Client
from funnelwatch.store.queries import drained

#: How long the other nodes may take to answer: they look every two seconds and store what waits first.
ANSWER_SECONDS = 60.0
#: A node away for longer finds the order no more.
REMEMBERED = timedelta(days=30)


def spool() -> Path:
    """Where this node's spool lies, if it has one."""
    return settings.DATA_DIR / "spool"


def here() -> str | None:
    """This node, None where nothing was ever spooled."""
    return segments.node(spool()) if spool().is_dir() else None


def mine(order: ErasureOrder) -> Mine:
    """What is to go, among spooled events."""
    project, salt, people = order.project_id, order.project.salt, frozenset(order.people)
    if not people:
        return lambda event: event.get("project_id") == project and order.from_ms <= (event.get("ts") or -1) < order.to_ms

    def theirs(event: dict[str, Any]) -> bool:
        ids = (event.get("visitor_id"), event.get("user_id"))
        return event.get("project_id") == project and any(each and privacy.pseudonym(salt, each) in people for each in ids)

    return theirs


def carry_out_orders() -> None:
    """Carry out, on this node, what orders it has not answered yet; those it cannot yet it leaves for the next time.

    Raises DatabaseError, StillBusy, sqlite3.Error, OSError; calling again completes the work.
    """
    node = here()
    if node is None:
        return
    for order in ErasureOrder.objects.filter(at__gte=clock.now() - REMEMBERED).exclude(answers__node=node).select_related("project"):
        _carry_out(order, node)


def everywhere(client: Client, order: ErasureOrder) -> tuple[dict[str, int], list[str]]:
    """Wait for every living node to carry an order out: events that lay on each, and the nodes that did not answer in ANSWER_SECONDS.

    Raises StoreError, StoreUnavailable.
    """
    ErasureOrder.objects.filter(at__lt=clock.now() - REMEMBERED).delete()
    give_up = monotonic() + ANSWER_SECONDS
    while True:
        answers = dict(order.answers.values_list("node", "events"))
        others = [] if settings.EMBEDDED else drained.nodes(client, clock.now_ms())
        silent = sorted({*filter(None, [here()]), *others} - answers.keys())
        if not silent or monotonic() > give_up:
            return answers, silent
        sleep(0.2)


def _carry_out(order: ErasureOrder, node: str) -> None:
    lock = segments.hold_lock(spool() / "erasing.lock")
    if lock is None:  # another process of the node is at it
        return
    with lock:
        if erasing.waiting(spool(), clock.to_ms(order.at)):
            return
        found = erasing.lying(spool(), mine(order))
        erasing.clean(spool(), mine(order))
        ErasureAnswer.objects.get_or_create(order=order, node=node, defaults={"events": found})
