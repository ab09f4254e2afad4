"""For machines: is the process alive, can it serve, how much has it done."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from funnelwatch import pipeline
from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.respond import OPEN
from funnelwatch.store.client import StoreError
from funnelwatch.web.data import stored


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"ok": True})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Both stores answer and the spool drains; else 503 with what is wrong, by name."""
    found = {"database": _database(), "event_store": _event_store(), "spool": pipeline.ingest_status().get("last_error", "")}
    wrong = any(found.values())
    return JsonResponse({"ok": not wrong, "checks": {name: text or "ok" for name, text in found.items()}}, status=503 if wrong else 200)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text."""
    count = Incident.objects.filter(run_id="", status__in=OPEN).count()
    own = f"# TYPE funnelwatch_open_incidents gauge\nfunnelwatch_open_incidents {count}\n"
    return HttpResponse(own + pipeline.metrics_text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return str(error)
    return ""


def _event_store() -> str:
    try:
        stored.client().query("SELECT 1")
    except StoreError as error:
        return str(error)
    return ""
