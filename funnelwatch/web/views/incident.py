"""One incident, and what people do to it."""

import json
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from funnelwatch.incidents import respond
from funnelwatch.incidents.models import Incident
from funnelwatch.web.data import incident as data
from funnelwatch.web.views.base import actor, incident_page, needs, page


@require_safe
@incident_page
def show(request: HttpRequest, incident: Incident) -> HttpResponse:
    """The page, open or resolved. A background refresh takes the same answer and swaps its main part."""
    return _render(request, incident)


@require_POST
@incident_page
@needs("responder")
def status(request: HttpRequest, incident: Incident) -> HttpResponse:
    """Acknowledge, mark as recovering or resolve."""
    wanted = request.POST.get("status", "")
    done = {"acknowledged": "Acknowledged.", "mitigated": "Marked as recovering.", "resolved": "Resolved."}.get(wanted, "Done.")
    return _act(request, incident, lambda: respond.set_status(incident, wanted, actor(request)), done)


@require_POST
@incident_page
@needs("responder")
def assign(request: HttpRequest, incident: Incident) -> HttpResponse:
    """Take it over, if nobody else did since the page was drawn."""
    seen = int(request.POST["seen"]) if request.POST.get("seen", "").isdigit() else None
    return _act(request, incident, lambda: respond.assign(incident, request.user, actor(request), seen), "This incident is yours.")


@require_POST
@incident_page
@needs("responder")
def comment(request: HttpRequest, incident: Incident) -> HttpResponse:
    """Add a note to the timeline."""
    return _act(request, incident, lambda: respond.comment(incident, request.POST.get("text", ""), actor(request)), "Note added.")


@require_POST
@incident_page
@needs("responder")
def judge(request: HttpRequest, incident: Incident) -> HttpResponse:
    """Was this alert right?"""
    verdict = request.POST.get("verdict", "")
    return _act(request, incident, lambda: respond.judge(incident, verdict, actor(request)), "Thank you, your answer is kept.")


def _act(request: HttpRequest, incident: Incident, act: Callable[[], None], done: str) -> HttpResponse:
    """Run an act and show the page as it is now; of two people who press at once the slower one is told who was first."""
    level, message = messages.SUCCESS, done
    try:
        act()
    except (respond.ActedFirst, respond.NotPossible) as refusal:
        level, message = messages.WARNING, str(refusal)
    if "HX-Request" in request.headers:
        response = _render(request, incident)
        response.headers["HX-Trigger"] = json.dumps({"toast": message})
        return response
    messages.add_message(request, level, message)
    return HttpResponseRedirect(reverse("incident", args=[incident.pk]))


def _render(request: HttpRequest, incident: Incident) -> HttpResponse:
    return page(request, "web/incident.html", "incidents", **data.context(incident, request.user))
