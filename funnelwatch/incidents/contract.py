"""The incident as the API, commands and alerts give it to the outside: exactly the JSON of the contract."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from funnelwatch.incidents.models import Cause, Incident, TimelineEntry

_IMPACT = ("currency", "lost_orders", "lost_revenue", "interval", "per_hour", "recovered_revenue")


def to_json(incident: Incident) -> dict[str, Any]:
    """One incident with causes, detectors and timeline. Times ISO 8601 UTC, money numbers beside their currency.

    Reads `causes` and `timeline` once each; prefetch both for a list.
    """
    causes = list(incident.causes.all())
    return {
        "id": incident.pk,
        "project": incident.project.name,
        "status": incident.status,
        "severity": incident.severity,
        "title": incident.title,
        "funnel": incident.funnel,
        "step": incident.step,
        "metric": incident.metric,
        "cohort": incident.cohort,
        "started_at": iso(incident.started_at),
        "started_at_interval": [iso(incident.started_lo), iso(incident.started_hi)],
        "detected_at": iso(incident.detected_at),
        "resolved_at": iso(incident.resolved_at),
        "expected": incident.expected,
        "observed": incident.observed,
        "interval": [incident.interval_lo, incident.interval_hi],
        "effect": incident.effect,
        "probability": incident.probability,
        "kind": incident.kind,
        "impact": {"currency": incident.project.currency} | {key: incident.impact[key] for key in _IMPACT if key in incident.impact},
        "causes": [_cause(cause) for cause in causes if not cause.rejected],
        "rejected_causes": [{"title": cause.title, "reason": cause.rejected} for cause in causes if cause.rejected],
        "detectors": incident.detectors,
        "timeline": [_entry(entry) for entry in incident.timeline.all()],
        "url": page_url(incident),
    }


def page_url(incident: Incident) -> str:
    """The incident's page as people outside reach it: what alerts link to."""
    return f"{settings.PUBLIC_URL}/incidents/{incident.pk}/"


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "rank": cause.rank,
        "kind": cause.kind,
        "change": cause.change_id,
        "external_id": cause.external_id,
        "title": cause.title,
        "probability": cause.probability,
        "evidence": cause.evidence,
    }


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    return {"at": iso(entry.at), "kind": entry.kind, "text": entry.text, "actor": entry.actor, "data": entry.data}
