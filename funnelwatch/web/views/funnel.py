"""The funnel explorer."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.web.data import funnel
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """A funnel over a time, whole and by one dimension."""
    return page(request, "web/funnel.html", "funnel", **funnel.context(request.project, funnel.Filters.of(request.GET)))
