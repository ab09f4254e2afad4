"""The change feed."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.web.data import changes
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """The ledger, newest first, with what each change is suspected of."""
    return page(request, "web/changes.html", "changes", **changes.context(request.project, changes.Filters.of(request.GET)))
