"""Editing a funnel: rows are added, moved and taken out by the server, a preview counts the last day, saving makes a version."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from funnelwatch.projects import access, funnels
from funnelwatch.projects.funnels import Wrong
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.web.data import funnel_edit as data
from funnelwatch.web.funnel_form import FunnelForm
from funnelwatch.web.views.base import audit, back, page, project_page


@require_http_methods(["GET", "HEAD", "POST"])
@project_page
def show(request: HttpRequest, name: str = "") -> HttpResponse:
    """The form of a funnel, of a new one without `name`; `?version=` opens an older one. Only admins may send it."""
    if request.method != "POST":
        return _render(request, _opened(request, name), name)
    if not access.allows(request.role, "admin"):
        raise PermissionDenied(f"This needs the role admin in {request.project}; you are {request.role}.")
    act = request.POST.get("act", "preview")
    form = FunnelForm.sent(request.POST, name).edited(act)
    if act == "save":
        return _save(request, form, name)
    return _render(request, form, name, preview=data.previewed(request.project, form) if act == "preview" else None)


def _opened(request: HttpRequest, name: str) -> FunnelForm:
    if not name:
        return FunnelForm()
    versions = Funnel.objects.filter(project=request.project, name=name)
    wanted = request.GET.get("version", "")
    found = versions.filter(version=wanted) if wanted.isdecimal() else versions.order_by("-active", "-version")
    return FunnelForm.of(get_object_or_404(found[:1]))


def _save(request: HttpRequest, form: FunnelForm, name: str) -> HttpResponse:
    try:
        draft = form.draft()
        if not name:
            _refuse_taken(request.project, draft.name)
    except Wrong as wrong:
        return _render(request, form, name, preview={"wrong": str(wrong)}, status=400)
    saved, new = funnels.save(request.project, draft)
    address = reverse("funnel-edit", args=[request.project.name, saved.name])
    if not new:
        return back(request, address, f"Nothing differs from version {saved.version}, which is watched.")
    audit(request, "funnel.changed", saved.name, version=saved.version, steps=[step["name"] for step in saved.steps])
    return back(request, address, f"{saved.name} is watched as version {saved.version}.")


def _refuse_taken(project: Project, name: str) -> None:
    if Funnel.objects.filter(project=project, name=name).exists():
        raise Wrong("name", f"There is a funnel {name} already: choose another name, or edit that one.")


def _render(request: HttpRequest, form: FunnelForm, name: str, preview: dict | None = None, status: int = 200) -> HttpResponse:
    context = data.context(request.project, form, name)
    return page(request, "web/funnel_edit.html", "settings", status=status, preview=preview, **context)
