"""What a finding says, put into the incident's columns."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from funnelwatch.core import clock
from funnelwatch.core.diagnosis import Finding, RankedCause
from funnelwatch.core.signals import Anomaly
from funnelwatch.incidents import matching, words
from funnelwatch.incidents.models import Incident


def put(incident: Incident, group: Sequence[Finding], at: datetime) -> None:
    """Put what the tick at `at` knows of one fault into the unsaved row; the first finding speaks for the group.

    The onset never moves behind the detection: a later one is a later symptom.
    """
    main = group[0]
    anomaly, diagnosis = main.anomaly, main.diagnosis
    steps = [step.name for step in main.funnel.steps]
    incident.kind, incident.metric = anomaly.kind, anomaly.key.metric
    incident.funnel, incident.funnel_version = main.funnel.name, main.funnel.version
    incident.step = matching.span(steps, group)
    incident.cohort = diagnosis.cohort.to_json()
    incident.title = words.title(
        anomaly, incident.step, diagnosis.cohort.label(), matching.is_adjacent(steps, incident.step)
    )[:300]
    onset = clock.from_minute(anomaly.onset)
    if incident.started_at is None or onset <= incident.detected_at:
        incident.started_at = onset
        incident.started_lo, incident.started_hi = (clock.from_minute(minute) for minute in anomaly.onset_interval)
    incident.last_seen_at = at
    incident.expected, incident.observed, incident.effect = anomaly.expected, anomaly.observed, anomaly.effect
    incident.interval_lo, incident.interval_hi = anomaly.interval
    incident.probability = anomaly.probability
    incident.impact = _impact_json(main)
    incident.detectors = _detectors_json(incident.detectors, (anomaly, *main.others, *(f.anomaly for f in group[1:])))
    incident.narrowing = [dict(row) for row in diagnosis.path]
    incident.chart = dict(main.chart) or incident.chart
    now = matching.severity(main, (at - incident.started_at).total_seconds() / 3600)
    incident.severity = matching.louder(incident.severity, now) if incident.severity else now


def _impact_json(finding: Finding) -> dict[str, Any]:
    impact = finding.diagnosis.impact
    money = {name: getattr(impact, name) for name in ("lost_revenue", "per_hour", "recovered_revenue")}
    return {
        "currency": impact.currency,
        "lost_orders": impact.lost_orders,
        "interval": [float(end) for end in impact.interval] if impact.interval else None,
        **{name: None if amount is None else float(amount) for name, amount in money.items()},
    }


def _detectors_json(before: list[dict[str, Any]], anomalies: Iterable[Anomaly]) -> list[dict[str, Any]]:
    """Each detector's strongest word now, with the first minute it ever fired on this incident."""
    first = {row["name"]: row["first_fired_at"] for row in before}
    strongest: dict[str, dict[str, Any]] = {row["name"]: row for row in before}
    seen: dict[str, float] = {}
    for signal in (signal for anomaly in anomalies for signal in anomaly.signals):
        fired = clock.from_minute(signal.minute).isoformat()
        first[signal.detector] = min(first.get(signal.detector, fired), fired)
        if signal.score >= seen.get(signal.detector, 0.0):
            seen[signal.detector] = signal.score
            strongest[signal.detector] = {
                "name": signal.detector, "version": signal.version, "score": signal.score, "p_value": signal.p_value,
                "direction": signal.direction, "text": signal.text,
            }  # fmt: skip
    return [{**strongest[name], "first_fired_at": first[name]} for name in sorted(strongest)]


def cause_fields(rank: int, cause: RankedCause) -> dict[str, Any]:
    """The columns of a `Cause` row."""
    return {
        "rank": rank, "kind": cause.kind, "change_id": cause.change_id, "external_id": cause.external_id,
        "title": cause.title[:300], "probability": cause.probability, "rejected": cause.rejected[:300],
        "evidence": [{"kind": e.kind, "text": e.text, "weight": e.weight, "data": dict(e.data)} for e in cause.evidence],
    }  # fmt: skip
