"""For machines: is the process alive, can it serve, how much has it done."""

from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from funnelwatch import pipeline
from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.respond import OPEN
from funnelwatch.store.client import StoreError
from funnelwatch.web.data import stored

#: A host that is gone keeps the driver waiting for 10 s, and whoever asks the probe for 3.
_PATIENCE = 1.0
_asking = ThreadPoolExecutor(1, "probe")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"ok": True})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and the spool can be written; else 503. What is wrong is told by name.

    An event store that is away is told and takes nothing away from being ready: events wait in the spool, and a balancer that sent
    them elsewhere would lose them.
    """
    needed = {"database": _database(), "spool": pipeline.spool_trouble()}
    status = pipeline.ingest_status()
    found = needed | {"event_store": _event_store() if status else "not open yet", "drain": status.get("last_error", "")}
    ready = not any(needed.values())
    return JsonResponse({"ok": ready, "checks": {name: text or "ok" for name, text in found.items()}}, status=200 if ready else 503)


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
        _asking.submit(lambda: stored.client().query("SELECT 1")).result(_PATIENCE)
    except StoreError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {_PATIENCE:g} s"
    return ""
