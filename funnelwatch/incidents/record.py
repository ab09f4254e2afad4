"""Turn findings into incidents: open, extend, merge, escalate, recover, resolve. One fault, one incident.

Everything a tick changes is one transaction, the deliveries included, so a killed worker leaves either all of it or nothing.
A tick that is run again finds its own rows and changes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from funnelwatch.core import clock
from funnelwatch.core.diagnosis import Finding
from funnelwatch.core.series import SeriesKey
from funnelwatch.incidents import deliveries, describe, matching, words
from funnelwatch.incidents.matching import Footprint
from funnelwatch.incidents.models import Cause, Incident, TimelineEntry
from funnelwatch.projects.models import Project

SYSTEM = "FunnelWatch"
OPEN = ("open", "acknowledged", "mitigated")
#: Quiet minutes before we say "recovering", and before we close: three more times the first, so a flapping fault stays one.
RECOVERING_AFTER = timedelta(minutes=5)
RESOLVED_AFTER = timedelta(minutes=20)
#: The same fault that begins again within an hour of its end is the same incident again.
REOPEN_WITHIN = timedelta(minutes=60)
#: What has lasted this long is a new level rather than a fault: expectations begin to follow it, or a shop that grew would be
#: watched against its old self for ever.
ACCEPTED_AFTER = timedelta(days=3)
#: The first minutes' severity is an early guess; louder news before this has passed since the last alert waits.
ESCALATE_AFTER = timedelta(minutes=15)
RELOCALISE_AFTER = timedelta(minutes=10)
#: How far ahead of the cause last named another one must be, so that two equal candidates do not take turns.
CAUSE_LEAD = 0.1


def observe(
    project: Project, run_id: str, findings: Sequence[Finding], at: datetime, notify: deliveries.Mode = "none"
) -> list[Incident]:
    """Record what the tick at `at` found; returns the incidents it opened or extended.

    `run_id` is empty for live incidents and names the replay otherwise. `notify`: "none" writes no deliveries, "record"
    writes them as done, "live" writes them to be sent.
    """
    if not findings:
        return []
    with transaction.atomic():
        _lock(project)
        known = list(_candidates(project, run_id, at, findings))
        touched: list[Incident] = []
        for group in _grouped(findings):
            incident = _match(known, group[0])
            if incident in touched:
                continue  # a lesser trace of what a larger group has just described
            if incident is not None and _is_leftover(incident, group[0]):
                continue
            if incident is None:
                incident = _open(project, run_id, group, at, notify)
                known.append(incident)
            elif at >= incident.last_seen_at:
                _extend(incident, group, at, notify)
            touched.append(incident)
        _merge(touched, known, at)
    return touched


def _is_leftover(incident: Incident, finding: Finding) -> bool:
    """Whether what we have found over lingers in a series too small to show it, for weeks perhaps. A relapse begins anew."""
    if incident.status != "resolved":
        return False
    if finding.anomaly.onset_interval[1] >= clock.to_minute(incident.last_seen_at):
        return False
    said = incident.timeline.filter(kind="resolved").last()
    return said is not None and said.actor == SYSTEM


def still(project: Project, run_id: str, keys: Iterable[SeriesKey], at: datetime) -> list[Incident]:
    """Move on the incidents that were not seen at `at`; returns those whose status changed.

    `keys` are the series whose recovery test has not passed yet: they keep the incidents they belong to open. What stays
    quiet is "recovering" after RECOVERING_AFTER and resolved after RESOLVED_AFTER.
    """
    held = tuple(keys)
    changed = []
    with transaction.atomic():
        _lock(project)
        running = Incident.objects.filter(project=project, run_id=run_id, resolved_at=None, last_seen_at__lte=at)
        for incident in running.order_by("pk"):
            ground = Footprint.of_incident(incident)
            if any(_concerns(key, ground) for key in held):
                incident.last_seen_at = at
                if _seen_again(incident, at):
                    changed.append(incident)
                incident.save(update_fields=["last_seen_at", "status", "resolved_at"])
            elif _quiet(incident, at):
                changed.append(incident)
    return changed


def log(incident: Incident, at: datetime, kind: str, text: str, *, actor: str = SYSTEM, **data: Any) -> None:
    """Write one timeline row."""
    TimelineEntry.objects.create(incident=incident, at=at, kind=kind, text=text[:1000], actor=actor, data=data)


def _lock(project: Project) -> None:
    """One tick of a project at a time; SQLite's immediate transactions do it by themselves."""
    Project.objects.select_for_update().get(pk=project.pk)


def _candidates(project: Project, run_id: str, at: datetime, findings: Sequence[Finding]) -> Iterable[Incident]:
    """Incidents that run, and those that ran when a finding began or shortly before, however long ago that is."""
    earliest = min(at, *(_began(finding) for finding in findings))
    recent = Q(resolved_at=None) | Q(last_seen_at__gte=earliest - REOPEN_WITHIN)
    rows = Incident.objects.filter(recent, project=project, run_id=run_id)
    return rows.exclude(timeline__data__has_key="merged_into").order_by("started_at", "pk")


def _began(finding: Finding) -> datetime:
    return clock.from_minute(finding.anomaly.onset)


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one tick by fault; the first of a group lost the most and speaks for it."""
    groups: list[list[Finding]] = []
    for finding in sorted(findings, key=lambda f: abs(f.anomaly.missing), reverse=True):
        footprint = Footprint.of_finding(finding)
        for group in groups:
            if matching.same_fault(footprint, Footprint.of_finding(group[0])):
                group.append(finding)
                break
        else:
            groups.append([finding])
    return groups


def _match(known: Sequence[Incident], finding: Finding) -> Incident | None:
    """The incident this finding belongs to: an unresolved one first, then the same cohort, then the oldest."""
    footprint = Footprint.of_finding(finding)
    same = [
        i
        for i in known
        if i.funnel == finding.funnel.name
        and (i.resolved_at is None or i.last_seen_at >= _began(finding) - REOPEN_WITHIN)
        and matching.same_fault(footprint, Footprint.of_incident(i))
    ]
    cohort = finding.diagnosis.cohort.to_json()
    return min(same, key=lambda i: (i.resolved_at is not None, i.cohort != cohort, i.started_at, i.pk), default=None)


def _open(project: Project, run_id: str, group: list[Finding], at: datetime, mode: deliveries.Mode) -> Incident:
    main = group[0]
    incident = Incident(project=project, run_id=run_id, detected_at=at)
    describe.put(incident, group, at)
    plan = matching.planned_change(project, main, at)
    if plan:
        incident.status = "expected"
    incident.similar = (
        Incident.objects.filter(
            project=project,
            run_id=run_id,
            status="resolved",
            step=incident.step,
            cohort=incident.cohort,
            kind=incident.kind,
        )
        .order_by("-started_at")
        .first()
    )
    incident.save()
    names = ", ".join(sorted({s.detector for s in main.anomaly.signals})) or "the series' own history"
    log(incident, incident.started_at, "onset", f"{words.step_range(incident.step)} left its expected range.")
    log(incident, at, "detected", f"Found with {main.anomaly.probability * 100:.1f} % probability by {names}.")
    _log_cohort(incident, main, at)
    _put_causes(incident, main, at)
    if plan:
        log(
            incident,
            at,
            "detected",
            f"Expected: {plan.title} was planned to do this. Nobody was alerted.",
            change=plan.pk,
        )
    else:
        deliveries.announce(incident, at, mode)
    return incident


def _extend(incident: Incident, group: list[Finding], at: datetime, mode: deliveries.Mode) -> None:
    main, was_resolved = group[0], incident.status == "resolved"
    if incident.resolved_at is None:
        describe.put(incident, group, at)
    incident.last_seen_at = at
    if incident.status == "expected" and matching.planned_change(incident.project, main, at) is None:
        _outgrow_plan(incident, at)
    reopened = _seen_again(incident, at) and was_resolved
    incident.save()
    if incident.status not in OPEN:
        return
    TimelineEntry.objects.filter(incident=incident, kind="onset").exclude(at=incident.started_at).update(
        at=incident.started_at
    )
    _log_cohort(incident, main, at)
    if _put_causes(incident, main, at):
        deliveries.follow_up(incident, "updated", at)
    deliveries.escalate(incident, at, ESCALATE_AFTER)
    deliveries.announce(incident, at, mode, again=reopened)


def _log_cohort(incident: Incident, finding: Finding, at: datetime) -> None:
    """Say where it is when that is news; a localisation that wavers is said at most once in RELOCALISE_AFTER."""
    last = incident.timeline.filter(kind="localised").last()
    news = {"cohort": incident.cohort, "step": incident.step}
    if last and (last.data == news or last.at > at - RELOCALISE_AFTER):
        return
    label = finding.diagnosis.cohort.label()
    share = words.percent(min(finding.diagnosis.explained, 1.0))
    text = f"{label} explains {share} of it." if label != "everyone" else "It reaches all shoppers alike."
    log(incident, at, "localised", text, **news)


def _put_causes(incident: Incident, finding: Finding, at: datetime) -> bool:
    """Put the ranked causes in place of the old ones. True when another one than before is likely (half or more)."""
    ranked = sorted(finding.diagnosis.causes, key=lambda cause: (bool(cause.rejected), -cause.probability))
    fields = [describe.cause_fields(rank, cause) for rank, cause in enumerate(ranked, start=1)]
    if fields == list(incident.causes.values(*fields[0])) if fields else not incident.causes.exists():
        return False
    incident.causes.all().delete()
    Cause.objects.bulk_create(Cause(incident=incident, **row) for row in fields)
    racing = [cause for cause in ranked if not cause.rejected]
    last = incident.timeline.filter(kind="cause_ranked").last()
    said = (last.data["cause"], last.data["change"]) if last else None
    if not racing or said == (racing[0].kind, racing[0].change_id):
        return False
    first = racing[0]
    before = next((cause.probability for cause in racing if (cause.kind, cause.change_id) == said), 0.0)
    if first.probability - before < CAUSE_LEAD:
        return False
    text = f"{first.title} is {words.likelihood(first.probability)} the cause ({words.percent(first.probability)})."
    log(incident, at, "cause_ranked", text, cause=first.kind, change=first.change_id)
    return first.kind != "unknown" and first.probability >= 0.5


def _outgrow_plan(incident: Incident, at: datetime) -> None:
    """An effect beyond its plan is a fault after all, unless a person has called it expected."""
    if not incident.timeline.filter(kind="feedback").exists():
        incident.status, incident.resolved_at = "open", None
        log(incident, at, "detected", "More than was planned: this is no longer expected.")


def _seen_again(incident: Incident, at: datetime) -> bool:
    """Put a recovering or resolved incident that is seen again back to open; True if so. The caller saves it.

    Where a person has just called it recovering or resolved, their fix gets the time we would wait ourselves.
    """
    if incident.status not in ("mitigated", "resolved"):
        return False
    said = incident.timeline.filter(kind__in=("recovering", "resolved")).last()
    if said and said.actor != SYSTEM and said.at > at - RESOLVED_AFTER:
        return False
    acknowledged = incident.timeline.filter(kind="acknowledged").exists()
    incident.status = "acknowledged" if acknowledged else "open"
    incident.resolved_at = None
    log(incident, at, "detected", "It is back: outside the expected range again.")
    return True


def _quiet(incident: Incident, at: datetime) -> bool:
    """Recovering, then resolved. True when the status changed."""
    silence = at - incident.last_seen_at
    if silence >= RESOLVED_AFTER:
        incident.resolved_at = at
        if incident.status in OPEN:
            incident.status = "resolved"
            text = f"Inside the expected range for {RESOLVED_AFTER.seconds // 60} minutes."
            if at - incident.started_at > ACCEPTED_AFTER:
                text += f" It lasted over {ACCEPTED_AFTER.days} days, so the range has moved to the new level."
            log(incident, at, "resolved", text)
            deliveries.follow_up(incident, "resolved", at)
        incident.save(update_fields=["status", "resolved_at"])
        return True
    if silence >= RECOVERING_AFTER and incident.status in ("open", "acknowledged"):
        incident.status = "mitigated"
        incident.save(update_fields=["status"])
        log(incident, at, "recovering", "Back inside the expected range; watching that it stays there.")
        return True
    return False


def _merge(touched: Sequence[Incident], known: Sequence[Incident], at: datetime) -> None:
    """Close younger open incidents that turned out to be the same fault as one this tick has just described."""
    for keeper in touched:
        ground = Footprint.of_incident(keeper)
        for other in known:
            younger = (other.started_at, other.pk) > (keeper.started_at, keeper.pk)
            if other in touched or not younger or other.status not in OPEN or keeper.status not in OPEN:
                continue
            inside = Footprint.of_incident(other)
            if ground.cohort.contains(inside.cohort) and matching.same_fault(ground, inside):
                other.status, other.resolved_at, other.similar = "resolved", at, keeper
                other.save(update_fields=["status", "resolved_at", "similar"])
                log(other, at, "resolved", f"The same fault as {keeper}: {keeper.title}.", merged_into=keeper.pk)
                deliveries.follow_up(other, "resolved", at)


def _concerns(key: SeriesKey, ground: Footprint) -> bool:
    """Whether a series that is still off belongs to the incident with this footprint."""
    pair = (key.step_from, key.step_to)
    shared = pair in ground.edges or not key.step_to and any(key.step_from in edge for edge in ground.edges)
    if not shared or matching.disjoint(ground.cohort, key.cohort):
        return False
    return ground.cohort.contains(key.cohort) or bool(set(ground.cohort.entries) & set(key.cohort.entries))
