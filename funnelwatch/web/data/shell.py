"""What the frame around every page says: the shops to switch between, open incidents, how fresh the numbers are."""

from zoneinfo import ZoneInfo

from django.http import HttpRequest

from funnelwatch.core import clock
from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.respond import OPEN
from funnelwatch.projects import access
from funnelwatch.projects.models import Project
from funnelwatch.web import format
from funnelwatch.web.data import stored

#: Older than this the live dot turns grey: a tick comes every 10 s and a closed minute is at most 60 s old.
FRESH_SECONDS = 120


def context(request: HttpRequest) -> dict[str, object]:
    """Template context of the shell for `request.project`."""
    project: Project = request.project
    live = Incident.objects.filter(project=project, run_id="", status__in=OPEN)
    return {
        "project": project,
        "currency": project.currency,
        "role": request.role,
        "can_respond": access.allows(request.role, "responder"),
        "can_admin": access.allows(request.role, "admin"),
        "projects": access.projects_of(request.user),
        "region": f"{format.SIGNS.get(project.currency, project.currency)} · {format.zone(clock.now().astimezone(ZoneInfo(project.timezone)))}",
        "open_count": live.count(),
        "goto_incidents": live.order_by("-started_at")[:8],
        "freshness": _freshness(project),
        "language": "en-IN" if project.currency == "INR" else "en",
    }


def _freshness(project: Project) -> dict[str, object] | None:
    """Age of the newest event in seconds; None before the first one (or while the event store is away)."""
    overview = stored.overview(project)
    newest = overview["newest_event_at"] if overview else None
    if newest is None:
        return None
    age = max(0, clock.now_ms() // 1000 - newest)
    return {"age": age, "fresh": age < FRESH_SECONDS}
