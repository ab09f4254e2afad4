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
from funnelwatch.store.queries import names, rollups

#: A step unseen for this long is left out and shown as "not collected".
UNSEEN_DAYS = 7
#: Above a funnel's own version stands which steps are collected.
_MASK_BIT = 16


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
    for funnel in Funnel.objects.filter(project=project, active=True).select_related("project").order_by("name", "version"):
        newest[funnel.name] = funnel
    seen = names.seen(client, project.pk, since_ms, until_ms)
    made = [_watched(funnel.definition(), seen) for funnel in newest.values()]
    return [watched for watched in made if len(watched.collected.steps) >= 2]


def rolled_up(client: Client, project: Project, from_minute: int, to_minute: int) -> list[FunnelDef]:
    """Every definition under which minutes of [from_minute, to_minute) were rolled up live, older versions too."""
    wholes = {funnel.pk: funnel.definition() for funnel in Funnel.objects.filter(project=project).select_related("project")}
    stored = rollups.versions(client, project.pk, from_minute, to_minute)
    return [
        _part(wholes[funnel], version >> _MASK_BIT) if version >> _MASK_BIT else wholes[funnel]
        for funnel, version in stored if funnel in wholes
    ]  # fmt: skip


def counted(client: Client, project: Project, whole: FunnelDef, from_minute: int, to_minute: int) -> FunnelDef | None:
    """The definition by which a funnel version, watched or not, is counted in [from_minute, to_minute); None where there is none.

    Its steps are those collected in that time, or in the UNSEEN_DAYS up to its end where it is shorter. Where roll-ups with other steps
    miss fewer minutes of it, as after a change of what is collected, those. Of a time without events, those collected now.
    """
    stored = [each for each in rolled_up(client, project, from_minute, to_minute) if each.id == whole.id]
    judged = _collected(client, whole, min(from_minute, to_minute - UNSEEN_DAYS * 1_440), to_minute)
    if len(judged.steps) < 2 and not stored:
        now = clock.to_minute(clock.now()) + 1
        judged = _collected(client, whole, now - UNSEEN_DAYS * 1_440, now)
    found = [each for each in dict.fromkeys((judged, *stored)) if len(each.steps) >= 2]
    if len(found) < 2:
        return found[0] if found else None
    return min(found, key=lambda each: len(rollups.missing(client, each, from_minute, to_minute)))


def preview(client: Client, project: Project, draft: Draft) -> dict[str, Any]:
    """`{from, to, steps: [{step, entered, converted, rate, interval, complete, complete_entered, matched}], exclusions: [{step, matched}]}`.

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


def _collected(client: Client, whole: FunnelDef, from_minute: int, to_minute: int) -> FunnelDef:
    return _watched(whole, names.seen(client, whole.project_id, from_minute * 60_000, to_minute * 60_000)).collected


def _watched(whole: FunnelDef, seen: set[str]) -> Watched:
    kept = [index for index, step in enumerate(whole.steps) if seen & set(step.events)]
    return Watched(whole, whole if len(kept) == len(whole.steps) else _part(whole, sum(1 << index for index in kept)))


def _part(whole: FunnelDef, mask: int) -> FunnelDef:
    """The steps whose bit is set. Roll-up rows number the steps, so another choice of steps is another version to the store."""
    steps = tuple(step for index, step in enumerate(whole.steps) if mask >> index & 1)
    return replace(whole, version=whole.version | mask << _MASK_BIT, steps=steps)
