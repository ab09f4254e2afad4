"""The browser SDK over HTTP: the small configured loader, and the immutable files it names."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from funnelwatch.projects.models import WriteKey
from funnelwatch.web import sdk


@require_safe
def loader(request: HttpRequest, write_key: str) -> HttpResponse:
    """`/js/{write_key}.js`: good for a minute, so that a setting reaches every browser soon; unknown and revoked keys are 404."""
    key = WriteKey.objects.select_related("project").filter(key=write_key, revoked_at=None).first()
    if key is None:
        raise Http404("This write key is not known or was revoked. Copy the snippet again from Settings.")
    text, etag = sdk.loader(key, f"{request.scheme}://{request.get_host()}")
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(text, content_type="text/javascript; charset=utf-8")
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "public, max-age=60"
    return _for_any_site(response)


@require_safe
@cache_control(public=True, max_age=31_536_000, immutable=True)
def file(request: HttpRequest, name: str) -> HttpResponse:
    """`/sdk/{file}`: the version is in the name, so a browser may keep it for ever."""
    path = sdk.build().files.get(name)
    if path is None:
        raise Http404("No such SDK file.")
    return _for_any_site(HttpResponse(path.read_bytes(), content_type="text/javascript; charset=utf-8"))


def _for_any_site(response: HttpResponse) -> HttpResponse:
    """Loaded by shops on other origins, with integrity checked: that needs CORS."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Timing-Allow-Origin"] = "*"
    return response
