"""Erasing a person or a time range everywhere: events, roll-ups, the live sample, the spool's files. Each leaves a receipt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Any

from django.conf import settings

from funnelwatch.core import clock
from funnelwatch.incidents.contract import iso
from funnelwatch.ingest import erasing, privacy
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.erasing import Mine, StillBusy
from funnelwatch.ingest.status import read_status
from funnelwatch.pipeline import process
from funnelwatch.pipeline.funnels import rolled_up
from funnelwatch.projects.models import AuditRow, Project
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
    mine: Mine


def erase_person(project: Project, identity: str, actor: str, dry_run: bool = False) -> dict[str, Any]:
    """Erase whoever has `identity`, the shop's own user or anonymous id, or the pseudonym the live view shows.

    Returns `{receipt, project, person, from, to, at, dry_run, rows: {table: n}, spool, minutes, left}`: `receipt` is the number of the
    audit row (None on a dry run), `person` the pseudonym (the id itself is kept nowhere), `minutes` how many were rolled up again,
    `left` what a second look found (None on a dry run). Raises ValueError, StillBusy, StoreError, StoreUnavailable; calling again completes the work.
    """
    if not identity:
        raise ValueError("say whom: the user or anonymous id the shop sends")
    ids = (privacy.pseudonym(project.salt, identity), identity)
    client = process.runtime().client
    order = _Order(
        {"person": ids[0], "from": None, "to": None},
        lambda dry: erase.person(client, project.pk, ids, dry),
        lambda event: event.get("project_id") == project.pk and (event.get("visitor_id") in ids or event.get("user_id") in ids),
    )
    return _carry_out(project, order, actor, dry_run)


def erase_range(project: Project, start: datetime, end: datetime, actor: str, dry_run: bool = False) -> dict[str, Any]:
    """Erase all that happened from `start` up to `end` (aware). Returns and raises as `erase_person`, `person` being None."""
    first, last = clock.to_ms(start), clock.to_ms(end)
    client = process.runtime().client
    funnels = rolled_up(client, project, first // 60_000, last // 60_000 + 1)
    reach = max(map(reach_minutes, funnels), default=0)
    order = _Order(
        {"person": None, "from": iso(start), "to": iso(end)},
        lambda dry: erase.time_range(client, project.pk, first, last, reach, dry),
        lambda event: event.get("project_id") == project.pk and first <= (event.get("ts") or -1) < last,
    )
    return _carry_out(project, order, actor, dry_run)


def _carry_out(project: Project, order: _Order, actor: str, dry_run: bool) -> dict[str, Any]:
    spool = settings.DATA_DIR / "spool"
    lying = erasing.lying(spool, order.mine)
    if not dry_run:
        _let_drain()
    done = order.store(dry_run)
    found = {**order.words, "dry_run": dry_run, "rows": dict(done.rows), "spool": lying, "minutes": len(done.minutes), "left": None}
    receipt = None
    if not dry_run:
        erasing.clean(spool, order.mine)
        _roll_up_again(project, done.minutes)
        found["left"] = sum(order.store(True).rows.values()) + erasing.lying(spool, order.mine)
        receipt = AuditRow.objects.create(project=project, actor=actor, action="data.erased", target=order.words["person"] or "time range", data=found).pk
    return {"receipt": receipt, "project": project.name, "at": iso(clock.now()), **found}


def _let_drain() -> None:
    """Wait until everything spooled is in the store, where it can be found. Drains here when nobody does. Raises StillBusy."""
    directory = settings.DATA_DIR / "spool"
    if not directory.is_dir() or not read_status(directory).waiting_events:
        return
    runtime = process.runtime()
    own = None if runtime.drain else Drain(directory, runtime.client)
    if own:
        own.tiers = process.tiers()
        own.start()
    try:
        give_up = monotonic() + DRAIN_SECONDS
        while read_status(directory).waiting_events:
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
