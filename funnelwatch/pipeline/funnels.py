"""Which funnels of a project are watched, which of their steps are collected at all, and what a changed one would count."""

from dataclasses import dataclass, replace
from typing import Any

from funnelwatch import rollup
from funnelwatch.core import clock
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.incidents.contract import iso
from funnelwatch.projects.funnels import Draft
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import names

#: A step unseen for this long is left out and shown as "not collected".
UNSEEN_DAYS = 7


@dataclass(frozen=True, slots=True)
class Watched:
    """`whole` as people defined it; `collected` the same without the steps whose events do not come."""

    whole: FunnelDef
    collected: FunnelDef


def watched_funnels(client: Client, project: Project, since_ms: int, until_ms: int) -> list[Watched]:
    """The newest active version of every funnel, judged by the events between two times (epoch milliseconds).

    A funnel of which fewer than two steps are collected is not watched.
    """
    newest: dict[str, Funnel] = {}
    for funnel in Funnel.objects.filter(project=project, active=True).order_by("name", "version"):
        newest[funnel.name] = funnel
    seen = names.seen(client, project.pk, since_ms, until_ms)
    made = [_watched(funnel.definition(), seen) for funnel in newest.values()]
    return [watched for watched in made if len(watched.collected.steps) >= 2]


def preview(client: Client, project: Project, draft: Draft) -> dict[str, Any]:
    """`{from, to, steps: [{step, entered, converted, rate, interval, complete, matched}], exclusions: [{step, matched}]}`.

    The day up to the newest event, counted from raw events by the roll-up's rules. Raises StoreError, StoreUnavailable.
    """
    found = rollup.preview(client, draft.definition(project), clock.now_ms())
    if found is None:
        return {"from": None, "to": None, "steps": [], "exclusions": []}
    return {
        "from": iso(clock.from_minute(found.from_minute)),
        "to": iso(clock.from_minute(found.to_minute)),
        "steps": [step.to_json() | {"matched": count} for step, count in zip(found.steps, found.matched, strict=True)],
        "exclusions": [{"step": each.name, "matched": count} for each, count in zip(draft.exclusions, found.excluding, strict=True)],
    }


def _watched(whole: FunnelDef, seen: set[str]) -> Watched:
    kept = [index for index, step in enumerate(whole.steps) if seen & set(step.events)]
    if len(kept) == len(whole.steps):
        return Watched(whole, whole)
    # Roll-up rows number the steps, so another choice of steps must be another version to the store.
    mask = sum(1 << index for index in kept)
    version = whole.version | mask << 16
    return Watched(whole, replace(whole, version=version, steps=tuple(whole.steps[index] for index in kept)))
