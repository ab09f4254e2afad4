"""The health page."""

from django.http import HttpRequest, HttpResponse

from funnelwatch.projects import access
from funnelwatch.web.data import health
from funnelwatch.web.views.base import page, project_page


@project_page
def show(request: HttpRequest) -> HttpResponse:
    """Is the watch itself well?"""
    # The page asks for its upper part every 10 s; what is counted over a day of events need not be counted anew for that.
    again = "HX-Request" in request.headers
    orders, clocks = (None, None) if again else (health.orders_seen(request.project), health.clocks(request.project))
    context = health.context(request.project)
    if access.allows(request.role, "admin"):
        context["set_aside"] = health.set_aside(request.project)
    return page(request, "web/health.html", "health", **context, orders=orders, clocks=clocks, hours=health.COVERED_HOURS)
