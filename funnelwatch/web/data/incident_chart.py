"""The main chart of an incident: the stored numbers (payloads.IncidentChart) with change and response marks beside them."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from funnelwatch.incidents.models import Cause, Incident, TimelineEntry
from funnelwatch.projects.models import ChangeRow
from funnelwatch.web import format, words

UNITS = {"conversion": "percent", "errors": "percent", "latency": "latency", "revenue": "money"}
#: Marks in the lane of changes; more would cover one another.
MAX_CHANGES = 12
#: Every so many points make a row of the table.
TABLE_STEP = 5

RESPONSES = {"detected": "bad", "cause_ranked": "", "alert_sent": "", "acknowledged": "", "approved": "", "executed": "", "recovering": "good", "resolved": "good"}


def payload(incident: Incident, ranked: list[Cause], timeline: list[TimelineEntry]) -> dict[str, Any]:
    """What charts.js draws. Rates become percent here, the only place."""
    chart = incident.chart
    unit = UNITS.get(incident.metric, "count")
    factor = 100 if unit == "percent" else 1
    return {
        "zone": incident.project.timezone,
        "locale": "en-IN" if incident.project.currency == "INR" else "en",
        "currency": incident.project.currency,
        "unit": unit,
        "worse": chart["worse"],
        "x": chart["x"],
        "series": {key: _scaled(series, factor) for key, series in chart["series"].items()},
        "cp": _changepoint(incident),
        "changes": _changes(incident, ranked),
        "responses": [
            {"at": int(entry.at.timestamp()), "title": words.TIMELINE_TITLES[entry.kind], "by": "", "cls": RESPONSES[entry.kind]}
            for entry in timeline
            if entry.kind in RESPONSES
        ],
    }


def table(incident: Incident) -> list[dict[str, Any]]:
    """The affected cohort every few minutes, for people who do not see the chart."""
    chart, currency = incident.chart, incident.project.currency
    series = chart["series"]["cohort"]
    last = len(chart["x"]) - 1
    out = []
    for i in sorted({*range(last, -1, -TABLE_STEP)}):
        actual, low, high = series["y"][i], series["lo"][i], series["hi"][i]
        known = actual is not None and low is not None and high is not None
        beyond = known and (actual > high if chart["worse"] == "up" else actual < low)
        texts = [format.value(number, incident.metric, currency) for number in (actual, series["expected"][i], low, high)]
        out.append({"at": chart["x"][i], "actual": texts[0], "expected": texts[1], "range": f"{texts[2]} – {texts[3]}", "beyond": beyond})
    return out


def _scaled(series: dict[str, Any], factor: int) -> dict[str, Any]:
    columns = {name: [None if v is None else round(v * factor, 3) for v in series[name]] for name in ("y", "expected", "lo", "hi")}
    return columns | {"name": series["name"]}


def _changepoint(incident: Incident) -> dict[str, Any]:
    at, low, high = (timezone.localtime(moment) for moment in (incident.started_at, incident.started_lo, incident.started_hi))
    return {
        "at": int(at.timestamp()),
        "lo": int(low.timestamp()),
        "hi": int(high.timestamp()),
        "label": f"Change {at:%H:%M}",
        "sub": f"95{format.THIN}% sure: {low:%H:%M}{format.DASH}{high:%H:%M}",
    }


def _changes(incident: Incident, ranked: list[Cause]) -> list[dict[str, Any]]:
    """Changes inside the chart's span; the likely cause is named, and kept when there are too many."""
    chief = next((cause.change_id for cause in ranked if cause.change_id and cause.probability >= 0.5), None)
    start = timezone.localtime(incident.started_at) - timedelta(hours=3)
    end = incident.resolved_at or incident.last_seen_at + timedelta(hours=1)
    found = ChangeRow.objects.filter(project=incident.project, started_at__gte=start, started_at__lte=end).order_by("-started_at")
    rows = sorted(found, key=lambda row: row.pk != chief)[:MAX_CHANGES]
    return [
        {"at": int(row.started_at.timestamp()), "glyph": words.GLYPHS.get(row.kind, "third"), "title": row.title, "by": row.author, "cause": row.pk == chief}
        for row in sorted(rows, key=lambda row: row.started_at)
    ]
