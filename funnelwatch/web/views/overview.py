"""Health now, money at risk, open incidents, changes, events."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.projects.models import WriteKey
from funnelwatch.web import sdk
from funnelwatch.web.data import overview
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """The page; a background refresh takes the same answer and swaps the parts named in the template."""
    context = overview.context(request.project)
    if context["waiting"]:
        context["snippet"] = snippet_of(request)
    return page(request, "web/overview.html", "overview", **context)


def snippet_of(request: HttpRequest) -> str | None:
    """The snippet of the project's first live key; None when it has none."""
    key = WriteKey.objects.filter(project=request.project, revoked_at=None).order_by("pk").first()
    return sdk.snippet(key, f"{request.scheme}://{request.get_host()}") if key else None
