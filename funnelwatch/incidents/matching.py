"""Is this the same fault, how bad is it, was it planned: the judgements that recording rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from funnelwatch.core import clock
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import Finding
from funnelwatch.core.vocabulary import SEVERITIES, Severity
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import ChangeRow, Funnel, Project

#: Onsets of one fault seen in different series differ by the spread of their estimates; on low volumes a quarter of an hour.
SAME_ONSET_MINUTES = 15
#: Not the shop's own trouble, so never the same incident as one that is, and nobody is alerted.
APART = ("mix", "bot", "late_data")
#: A planned effect may turn out this much bigger before it stops being the plan.
_PLAN_TOLERANCE = 1.5
_DIRECTIONS = {"down": "down", "decrease": "down", "up": "up", "increase": "up"}

Edges = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where and since when a fault shows. `onset`: epoch minutes, earliest and latest."""

    cohort: Cohort
    edges: Edges
    onset: tuple[int, int]
    kind: str

    @classmethod
    def of_finding(cls, finding: Finding) -> "Footprint":
        """The footprint of one finding."""
        names = [step.name for step in finding.funnel.steps]
        edges = edges_of(names, finding.diagnosis.step_from, finding.diagnosis.step_to)
        return cls(finding.diagnosis.cohort, edges, finding.anomaly.onset_interval, finding.anomaly.kind)

    @classmethod
    def of_incident(cls, incident: Incident) -> "Footprint":
        """The footprint of a stored incident."""
        onset = clock.to_minute(incident.started_lo), clock.to_minute(incident.started_hi)
        return cls(Cohort.from_json(incident.cohort), incident_edges(incident), onset, incident.kind)


def edges_of(names: Sequence[str], step_from: str, step_to: str) -> Edges:
    """The adjacent pairs a step range covers; a single step touches the pairs on both sides of it."""
    pairs = list(zip(names, names[1:], strict=False))
    if not step_to or step_from == step_to:
        touching = frozenset(pair for pair in pairs if step_from in pair)
        return touching or frozenset({(step_from, "")})
    if step_from in names and step_to in names:
        return frozenset(pairs[names.index(step_from) : names.index(step_to)])
    return frozenset({(step_from, step_to)})


def incident_edges(incident: Incident) -> Edges:
    """`edges_of` for a stored incident, in the funnel version it was found in."""
    funnel = Funnel.objects.filter(
        project=incident.project_id, name=incident.funnel, version=incident.funnel_version
    ).first()
    names = [row["name"] for row in funnel.steps] if funnel else []
    step_from, _, step_to = incident.step.partition("->")
    return edges_of(names, step_from, step_to)


def disjoint(one: Cohort, other: Cohort) -> bool:
    """Whether no session can be in both: some dimension of both has no value in common."""
    shared = set(one.dimensions) & set(other.dimensions)
    return any(not set(one.values(name)) & set(other.values(name)) for name in shared)


def related(one: Cohort, other: Cohort) -> bool:
    """Whether one holds the other, or they share an entry without excluding one another."""
    if disjoint(one, other):
        return False
    return one.contains(other) or other.contains(one) or bool(set(one.entries) & set(other.entries))


def same_fault(one: Footprint, other: Footprint) -> bool:
    """Whether two footprints are one fault.

    On a shared edge: the cohorts are related, or merely not disjoint and the onsets agree. Without a shared edge (a drop that
    shows at several steps): related cohorts and onsets that agree.
    """
    if disjoint(one.cohort, other.cohort) or (one.kind in APART or other.kind in APART) and one.kind != other.kind:
        return False
    close = related(one.cohort, other.cohort)
    together = (
        one.onset[0] <= other.onset[1] + SAME_ONSET_MINUTES and other.onset[0] <= one.onset[1] + SAME_ONSET_MINUTES
    )
    return (close or together) if one.edges & other.edges else (close and together)


def span(names: Sequence[str], findings: Sequence[Finding]) -> str:
    """The step range that covers all findings, as `from->to`."""
    first = findings[0].diagnosis
    if len(findings) == 1 or not first.step_to:
        return f"{first.step_from}->{first.step_to}" if first.step_to else first.step_from
    ends = {name for f in findings for name in (f.diagnosis.step_from, f.diagnosis.step_to) if name in names}
    if not ends:
        return f"{first.step_from}->{first.step_to}"
    ordered = sorted(ends, key=list(names).index)
    return f"{ordered[0]}->{ordered[-1]}"


def is_adjacent(names: Sequence[str], step: str) -> bool:
    """Whether `from->to` is one watched pair of the funnel, or a single step."""
    step_from, _, step_to = step.partition("->")
    return not step_to or (step_from, step_to) in zip(names, names[1:], strict=False)


def severity(finding: Finding, hours: float) -> Severity:
    """How loud to be, from orders lost an hour, the size of the effect and the step. `hours` since onset.

    Orders and not money, because a thousand rupees and a thousand euros are not alike: 30 lost orders an hour are critical,
    10 high, 2 medium. One step up when the last step of the funnel has lost half or more of its conversions (broken, not slow).
    Measurement faults lose no order but blind the shop: medium. What is not the shop's trouble is low.
    """
    anomaly, diagnosis = finding.anomaly, finding.diagnosis
    if anomaly.kind in APART:
        return "low"
    if anomaly.kind == "tracking":
        return "medium"
    if anomaly.kind == "silence":
        return "critical" if not diagnosis.cohort.entries else "high"
    lost = diagnosis.impact.lost_orders / max(hours, 5 / 60)
    rank = next((rank for rank, floor in enumerate((30, 10, 2)) if lost >= floor), 3)
    if diagnosis.step_to == finding.funnel.steps[-1].name and anomaly.effect <= -0.5:
        rank = max(rank - 1, 0)
    return SEVERITIES[rank]  # type: ignore[return-value]


def louder(one: str, other: str) -> str:
    """The more severe of two severities."""
    return min(one, other, key=SEVERITIES.index)


def planned_change(project: Project, finding: Finding, at: datetime) -> ChangeRow | None:
    """The planned change, known at `at`, whose window, scope, metric, direction and size account for the finding."""
    lo, hi = (clock.from_minute(minute) for minute in finding.anomaly.onset_interval)
    slack = timedelta(minutes=SAME_ONSET_MINUTES)
    rows = ChangeRow.objects.annotate(known=Coalesce(F("known_at"), F("started_at"))).filter(
        Q(ended_at=None) | Q(ended_at__gte=lo),
        project=project, planned=True, expected_effect__isnull=False, known__lte=at, started_at__lte=hi + slack,
    )  # fmt: skip
    return next((row for row in rows.order_by("-started_at") if _accounts_for(row, finding)), None)


def _accounts_for(row: ChangeRow, finding: Finding) -> bool:
    effect, plan = finding.anomaly.effect, row.expected_effect or {}
    scope = Cohort.of((dimension, value) for dimension, values in row.scope.items() for value in values)
    size = plan.get("size")
    return (
        plan.get("metric") in (finding.anomaly.key.metric, finding.anomaly.kind)
        and _DIRECTIONS.get(str(plan.get("direction"))) == ("down" if effect < 0 else "up")
        and (size is None or abs(effect) <= abs(float(size)) * _PLAN_TOLERANCE)
        and scope.contains(finding.diagnosis.cohort)
    )
