"""The strip of changes and incidents on one time axis."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from funnelwatch.core import clock
from funnelwatch.incidents.models import Cause, Incident
from funnelwatch.projects.models import ChangeRow, Project
from funnelwatch.web.words import GLYPHS, SEVERITIES

#: Lane name by glyph; the order is that of the page.
LANES = (
    ("Deploys and config", ("deploy", "config")),
    ("Campaigns", ("campaign",)),
    ("Flags, stock, third party", ("flag", "catalog", "third")),
)
HOURS = 6
MAX_INCIDENT_ROWS = 3  # the strip has room for three bars


def today(project: Project) -> dict[str, object]:
    """Changes and incidents of the last six hours; positions in percent of the axis."""
    now = clock.now()
    end = (timezone.localtime(now) + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(hours=HOURS)
    place = _Axis(start, end)
    changes = ChangeRow.objects.filter(project=project, started_at__gte=start, started_at__lte=now).order_by("started_at")
    guilty = _likely_causes(project, start)
    points = [
        {"left": place(row.started_at), "kind": row.kind, "title": row.title, "side": "l" if place(row.started_at) > 60 else "r",
         "cause": row.pk in guilty, "at": row.started_at}
        for row in changes
    ]  # fmt: skip
    return {
        "start": start,
        "now": place(now),
        "now_at": now,
        "ticks": [{"left": place(start + timedelta(hours=h)), "at": start + timedelta(hours=h)} for h in range(HOURS)],
        "incidents": _bars(project, place, start, now),
        "lanes": [{"name": name, "points": [p for p in points if GLYPHS.get(p["kind"], "third") in shapes]} for name, shapes in LANES],
        "empty": not points,
    }


class _Axis:
    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.span = start, end - start

    def __call__(self, moment: datetime) -> float:
        return round(min(100.0, max(0.0, (moment - self.start) / self.span * 100)), 2)


def _bars(project: Project, place: _Axis, start: datetime, now: datetime) -> list[dict[str, object]]:
    rows = Incident.objects.filter(project=project, run_id="").filter(Q(resolved_at=None) | Q(resolved_at__gte=start))
    rows = sorted(rows.exclude(status__in=("expected", "false_alarm"))[:50], key=lambda row: list(SEVERITIES).index(row.severity))
    bars = []
    for row in rows[:MAX_INCIDENT_ROWS]:
        left = place(row.started_at)
        width = max(0.6, place(row.resolved_at or now) - left)
        bars.append({"id": row.pk, "left": left, "width": width, "severity": SEVERITIES[row.severity][0], "title": row.title, "label_inside": left < 8})
    return bars


def _likely_causes(project: Project, since: datetime) -> set[int]:
    causes = Cause.objects.filter(incident__project=project, incident__run_id="", incident__last_seen_at__gte=since, rank=1, rejected="")
    return {pk for pk in causes.filter(probability__gte=0.5).values_list("change_id", flat=True) if pk}
