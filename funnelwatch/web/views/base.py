"""What every page shares: who asks, for which shop, in which time zone."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.respond import Actor
from funnelwatch.projects import access
from funnelwatch.projects.models import AuditRow, Project
from funnelwatch.web.data import shell

View = Callable[..., HttpResponse]


def project_page(view: View) -> View:
    """A page of one shop: signed in, a member, times in the shop's zone. Strangers see 404, as if the shop did not exist."""

    @login_required
    @wraps(view)
    def wrapped(request: HttpRequest, slug: str, **kwargs: object) -> HttpResponse:
        project = get_object_or_404(access.projects_of(request.user), name=slug)
        return _inside(request, project, view, **kwargs)

    return wrapped


def incident_page(view: View) -> View:
    """A page of one incident, found by its number among the incidents of the person's shops."""

    @login_required
    @wraps(view)
    def wrapped(request: HttpRequest, pk: int, **kwargs: object) -> HttpResponse:
        mine = Incident.objects.select_related("project", "assignee").filter(project__in=access.projects_of(request.user))
        incident = get_object_or_404(mine, pk=pk)
        return _inside(request, incident.project, view, incident=incident, **kwargs)

    return wrapped


def needs(role: str) -> Callable[[View], View]:
    """Only members who reach `role` (inside `project_page` or `incident_page`); others get 403 with the reason."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, **kwargs: object) -> HttpResponse:
            if not access.allows(request.role, role):
                raise PermissionDenied(f"This needs the role {role} in {request.project}; you are {request.role}.")
            return view(request, **kwargs)

        return wrapped

    return decorate


def page(request: HttpRequest, template: str, nav: str, status: int = 200, **context: object) -> HttpResponse:
    """Render a page inside the shell (side bar, project switcher, live dot)."""
    return render(request, template, {"nav": nav} | shell.context(request) | context, status=status)


def actor(request: HttpRequest) -> Actor:
    """The signed-in person, as `respond` wants to know them."""
    return Actor(request.user.get_full_name() or request.user.get_username(), request.user)


def audit(request: HttpRequest, action: str, target: str, **data: object) -> None:
    """Write down what the person did to the project."""
    AuditRow.objects.create(project=request.project, actor=actor(request).name, action=action, target=target, data=data)


def back(request: HttpRequest, to: str, message: str) -> HttpResponse:
    """After a form: say what happened on the page `to`."""
    messages.success(request, message)
    return HttpResponseRedirect(to)


def _inside(request: HttpRequest, project: Project, view: View, **kwargs: object) -> HttpResponse:
    request.project = project
    request.role = access.role_in(request.user, project)
    with timezone.override(project.timezone):
        return view(request, **kwargs)
