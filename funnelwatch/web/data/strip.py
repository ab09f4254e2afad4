"""The strip of changes and incidents on one time axis."""

from datetime import datetime, timedelta
from typing import Any

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
LABEL_CHARS = 22
CHAR_WIDTH = 0.75  # percent of the axis a letter takes at the usual width
TICK_GAP = 4.0
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
        {"left": place(row.started_at), "kind": row.kind, "title": row.title, "cause": row.pk in guilty, "at": row.started_at} for row in changes
    ]
    return {
        "start": start,
        "now": place(now),
        "now_at": now,
        "ticks": _ticks(place, start, now),
        "incidents": _bars(project, place, start, now),
        "lanes": [{"name": name, "points": _labelled([p for p in points if GLYPHS.get(p["kind"], "third") in shapes], place(now))} for name, shapes in LANES],
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


def _ticks(place: _Axis, start: datetime, now: datetime) -> list[dict[str, object]]:
    """Full hours, but none under the mark of now."""
    hours = [start + timedelta(hours=hour) for hour in range(HOURS)]
    return [{"left": place(hour), "at": hour} for hour in hours if abs(place(hour) - place(now)) > TICK_GAP]


def _labelled(points: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
    """Each point's label goes to the side where it covers nothing, likely causes first; where there is no room it is left to the tooltip."""
    taken = [(point["left"] - 1.0, point["left"] + 1.0) for point in points] + [(now, now)]
    for point in sorted(points, key=lambda point: not point["cause"]):
        width = 1.0 + min(len(point["title"]), LABEL_CHARS) * CHAR_WIDTH
        sides = {"r": (point["left"] + 1.0, point["left"] + width), "l": (point["left"] - width, point["left"] - 1.0)}
        free = (side for side, span in sides.items() if span[0] >= 0 and span[1] <= 100 and not any(a < span[1] and span[0] < b for a, b in taken))
        point["side"] = next(free, "")
        if point["side"]:
            taken.append(sides[point["side"]])
    return points


def _likely_causes(project: Project, since: datetime) -> set[int]:
    causes = Cause.objects.filter(incident__project=project, incident__run_id="", incident__last_seen_at__gte=since, rank=1, rejected="")
    return {pk for pk in causes.filter(probability__gte=0.5).values_list("change_id", flat=True) if pk}
