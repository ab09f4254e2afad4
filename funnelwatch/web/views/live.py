"""The live view."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.web.data import live
from funnelwatch.web.views.base import page, project_page
from funnelwatch.web.views.overview import snippet_of


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """The last events as they arrive; the table asks for itself again every 2 s."""
    context = live.context(request.project, live.Filters.of(request.GET))
    if not context["any"]:
        context["snippet"] = snippet_of(request)
    return page(request, "web/live.html", "live", **context)
