"""Error pages in the look of the rest; they read no database, so they stand when it does not."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TEXTS = {
    400: ("This request cannot be read", "Go back and try again."),
    403: ("You may not do that", "Ask an admin of this shop for the role you need."),
    404: ("Nothing is here", "The address is wrong, or it belongs to a shop you are not a member of."),
    500: ("Something broke on our side", "It was written to the log. Events are still being collected; try the page again in a moment."),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403; for a form sent in the background the reason goes into a header, which becomes the toast."""
    response = _page(request, 403, str(exception))
    response.headers["X-Reason"] = str(exception).encode("ascii", "replace").decode()[:200]
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404)


def failed(request: HttpRequest) -> HttpResponse:
    return _page(request, 500)


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token: an old tab, or another site trying."""
    return _page(request, 403, "The form was too old or came from another site. Go back, reload the page and send it again.")


def _page(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    title, text = TEXTS[status]
    return render(request, "web/error.html", {"code": status, "title": title, "text": detail or text}, status=status)
