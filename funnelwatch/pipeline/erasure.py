"""Erasing a person or a time range everywhere: events, roll-ups, the live sample, every node's spool files. Each leaves a receipt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Any

from funnelwatch.core import clock
from funnelwatch.incidents.contract import iso
from funnelwatch.ingest import erasing, privacy
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.erasing import StillBusy
from funnelwatch.pipeline import nodes, process
from funnelwatch.pipeline.funnels import rolled_up
from funnelwatch.projects.models import AuditRow, ErasureOrder, Project
from funnelwatch.rollup import ranges, roll_up
from funnelwatch.store.queries import erase
from funnelwatch.store.queries.erase import Receipt
from funnelwatch.store.session_sql import reach_minutes

__all__ = ["StillBusy", "erase_person", "erase_range"]

#: How long what is spooled may take to get into the store.
DRAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Order:
    """What to erase: in words for the receipt, in the store, and among spooled events."""

    words: dict[str, Any]
    store: Callable[[bool], Receipt]
    spooled: ErasureOrder


def erase_person(project: Project, identity: str, actor: str, dry_run: bool = False) -> dict[str, Any]:
    """Erase whoever has `identity`, the shop's own user or anonymous id, or the pseudonym the live view shows.

    Returns `{receipt, project, person, from, to, at, dry_run, rows: {table: n}, nodes: {node: n}, spool, open, minutes, left}`: `receipt`
    is the number of the audit row (None on a dry run), `person` the pseudonym (the id itself is kept nowhere), `nodes` how many events lay
    in each node's spool (on a dry run this one's) and `spool` their sum, `open` the nodes that have not said theirs are gone, `minutes` how
    many were rolled up again, `left` what a second look found (None on a dry run). Raises ValueError, StillBusy, StoreError,
    StoreUnavailable; calling again completes the work, also where `open` names a node.
    """
    if not identity:
        raise ValueError("say whom: the user or anonymous id the shop sends")
    ids = (privacy.pseudonym(project.salt, identity), identity)
    client = process.runtime().client
    order = _Order(
        {"person": ids[0], "from": None, "to": None},
        lambda dry: erase.person(client, project.pk, ids, dry),
        ErasureOrder(project=project, people=[privacy.pseudonym(project.salt, each) for each in ids]),
    )
    return _carry_out(project, order, actor, dry_run)


def erase_range(project: Project, start: datetime, end: datetime, actor: str, dry_run: bool = False) -> dict[str, Any]:
    """Erase all that happened from `start` up to `end` (aware). Returns and raises as `erase_person`, `person` being None."""
    first, last = clock.to_ms(start), clock.to_ms(end)
    client = process.runtime().client
    # Of all that was rolled up since, not in the range alone: a call that completes another one's work finds nothing there.
    reach = max(map(reach_minutes, rolled_up(client, project, first // 60_000, max(last // 60_000, clock.to_minute(clock.now())) + 1)), default=0)
    order = _Order(
        {"person": None, "from": iso(start), "to": iso(end)},
        lambda dry: erase.time_range(client, project.pk, first, last, reach, dry),
        ErasureOrder(project=project, from_ms=first, to_ms=last),
    )
    return _carry_out(project, order, actor, dry_run)


def _carry_out(project: Project, order: _Order, actor: str, dry_run: bool) -> dict[str, Any]:
    node = nodes.here()
    if dry_run:
        lay, silent = {node: erasing.lying(nodes.spool(), nodes.mine(order.spooled))} if node else {}, []
    else:
        order.spooled.save()
        _let_drain(order.spooled)
        nodes.carry_out_orders()
        lay, silent = nodes.everywhere(process.runtime().client, order.spooled)
    done = order.store(dry_run)
    found = {
        **order.words, "dry_run": dry_run, "rows": dict(done.rows), "nodes": lay, "spool": sum(lay.values()), "open": silent,
        "minutes": len(done.minutes), "left": None,
    }  # fmt: skip
    receipt = None
    if not dry_run:
        _roll_up_again(project, done.minutes)
        found["left"] = sum(order.store(True).rows.values()) + erasing.lying(nodes.spool(), nodes.mine(order.spooled))
        receipt = AuditRow.objects.create(project=project, actor=actor, action="data.erased", target=order.words["person"] or "time range", data=found).pk
    return {"receipt": receipt, "project": project.name, "at": iso(clock.now()), **found}


def _let_drain(order: ErasureOrder) -> None:
    """Wait until all that this node had spooled is in the store, where it can be found. Drains here when nobody does. Raises StillBusy."""
    directory, at = nodes.spool(), clock.to_ms(order.at)
    if not erasing.waiting(directory, at):
        return
    runtime = process.runtime()
    own = None if runtime.drain else Drain(directory, runtime.client)
    if own:
        own.tiers = process.tiers()
        own.start()
    try:
        give_up = monotonic() + DRAIN_SECONDS
        while erasing.waiting(directory, at):
            if monotonic() > give_up:
                raise StillBusy("the spool does not empty, so what is in it cannot be erased: `funnelwatch doctor` says why; then run it again")
            sleep(0.1)
    finally:
        if own:
            own.stop()


def _roll_up_again(project: Project, minutes: tuple[int, ...]) -> None:
    if not minutes:
        return
    client = process.runtime().client
    for funnel in rolled_up(client, project, minutes[0], minutes[-1] + 1):
        for first, end in ranges(minutes):
            roll_up(client, funnel, "", first, end)
