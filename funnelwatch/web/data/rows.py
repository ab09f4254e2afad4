"""Incidents as lines of a list: the same line on the overview, in the list and among similar ones."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet

from funnelwatch.core import clock
from funnelwatch.incidents.models import Cause, Incident
from funnelwatch.web import format, words
from funnelwatch.web.payloads import Band

#: Points of a line's small chart.
SPARK_POINTS = 60


def with_causes(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """What a line needs, in two queries for any number of lines."""
    ranked = Cause.objects.filter(rejected="").order_by("rank")
    return incidents.select_related("assignee", "project").prefetch_related(Prefetch("causes", ranked, to_attr="ranked_causes"))


def line(incident: Incident) -> dict[str, Any]:
    """Plain values of one line. Needs `with_causes`."""
    money, per = money_of(incident)
    cause = next((cause for cause in incident.ranked_causes if cause.kind != "unknown"), None)
    return {
        "incident": incident,
        "open": incident.is_open,
        "what": what(incident),
        "change": change(incident),
        "cohort": words.cohort(incident.cohort),
        "duration": length(incident),
        "cause": cause,
        "money": money,
        "per": per,
        "spark": spark(incident),
        "worse": (incident.chart or {}).get("worse", "down"),
        "recovered": incident.status == "resolved",
    }


def lines(incidents: Iterable[Incident]) -> list[dict[str, Any]]:
    """`line` for each."""
    return [line(incident) for incident in incidents]


def what(incident: Incident) -> str:
    """`Checkout → payment fell 18 %`; the title for anything but a conversion."""
    if incident.metric != "conversion":
        return incident.title
    verb = "fell" if incident.effect < 0 else "rose"
    return f"{words.step_range(incident.step)} {verb} {format.percent(abs(incident.effect), 0)}"


def change(incident: Incident) -> str:
    """`62.1 → 50.9 %`, from expected to observed; empty where the title says it."""
    if incident.metric != "conversion":
        return ""
    return f"{format.percent(incident.expected).removesuffix(format.THIN + '%')} → {format.percent(incident.observed)}"


def length(incident: Incident, until: datetime | None = None) -> float:
    """Seconds from its start to its end, or to now."""
    return ((until or incident.resolved_at or clock.now()) - incident.started_at).total_seconds()


def money_of(incident: Incident) -> tuple[str, str]:
    """What a line says of money: at risk per hour while open, lost afterwards; orders where no value is known."""
    impact = incident.impact
    currency = impact.get("currency") or incident.project.currency
    if incident.status in ("expected", "false_alarm"):
        return format.NONE, ""
    if incident.is_open and impact.get("per_hour") is not None:
        return format.money(impact["per_hour"], currency), "/h at risk"
    if impact.get("lost_revenue") is not None:
        return format.money(impact["lost_revenue"], currency), "lost"
    if impact.get("lost_orders"):
        return f"about {format.group(impact['lost_orders'], currency)}", "orders lost"
    return format.NONE, ""


def spark(incident: Incident) -> Band | None:
    """The end of the cohort's chart, for a line; None before there is one."""
    cohort = (incident.chart or {}).get("series", {}).get("cohort")
    if not cohort:
        return None
    return {name: cohort[name][-SPARK_POINTS:] for name in ("y", "expected", "lo", "hi")}
