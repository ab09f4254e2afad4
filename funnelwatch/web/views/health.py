"""The health page."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.web.data import health
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """Is the watch itself well?"""
    return page(request, "web/health.html", "health", **health.context(request.project))
