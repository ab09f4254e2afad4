"""The incident list."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.web.data import incidents
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """All incidents of a shop, open ones first, filtered by the query string."""
    filters = incidents.Filters.of(request.GET)
    return page(request, "web/incidents.html", "incidents", **incidents.context(request.project, filters))
