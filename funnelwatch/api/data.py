"""What was measured: series, last events, how the watch is doing."""

from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from funnelwatch import pipeline
from funnelwatch.api import scope
from funnelwatch.core import clock
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import SeriesKey
from funnelwatch.core.vocabulary import DIMENSIONS
from funnelwatch.incidents.contract import iso
from funnelwatch.ingest.status import read_status
from funnelwatch.pipeline.funnels import UNSEEN_DAYS, watched_funnels
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client, StoreUnavailable
from funnelwatch.store.queries import recent, rollups

MOST_MINUTES = 7 * 1440
TIMES = [OpenApiParameter("from", OpenApiTypes.DATETIME), OpenApiParameter("to", OpenApiTypes.DATETIME)]


class Unavailable(exceptions.APIException):
    """The event store is away; what is measured cannot be read."""

    status_code = 503
    default_detail = "The event store cannot be reached just now. Events are kept; try again."


class DataView(APIView):
    """A question to the event store; its absence is 503."""

    def handle_exception(self, error: Exception) -> Response:
        return super().handle_exception(Unavailable() if isinstance(error, StoreUnavailable) else error)


def client() -> Client:
    """The event store of this process. Raises StoreUnavailable."""
    return pipeline.runtime().client


def span(request: Request, minutes: int) -> tuple[int, int]:
    """Epoch minutes [from, to) of `?from&to`; the last `minutes` without them. Raises ValidationError."""
    end = _time(request, "to")
    to_minute = clock.to_minute(end) if end else clock.to_minute(clock.now())
    start = _time(request, "from")
    from_minute = clock.to_minute(start) if start else to_minute - minutes
    if from_minute >= to_minute:
        raise exceptions.ValidationError({"from": ["This lies after the end."]})
    return from_minute, to_minute


def watched(request: Request, project: Project) -> FunnelDef:
    """The funnel named by `?funnel=` (`storefront` without it) with the steps that are collected. Raises ValidationError."""
    now = clock.now_ms()
    name = request.query_params.get("funnel", "storefront")
    for found in watched_funnels(client(), project, now - UNSEEN_DAYS * 86_400_000, now):
        if found.whole.name == name:
            return found.collected
    raise exceptions.ValidationError({"funnel": ["There is no such funnel, or its events do not come."]})


class Series(DataView):
    """Counts by minute of one series: trials (arrivals at the first step) and hits (arrivals at the second)."""

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter("step", str, required=True, description="from->to"),
            OpenApiParameter("cohort", str, many=True, description="dimension:value, repeated"),
            OpenApiParameter("funnel", str),
            *TIMES,
        ],
    )
    def get(self, request: Request) -> Response:
        project = scope.project(request)
        definition = watched(request, project)
        step_from, _, step_to = request.query_params.get("step", "").partition("->")
        if (step_from, step_to) not in definition.pairs:
            raise exceptions.ValidationError({"step": [f"One of {', '.join(f'{a}->{b}' for a, b in definition.pairs)}."]})
        from_minute, to_minute = span(request, 180)
        if to_minute - from_minute > MOST_MINUTES:
            raise exceptions.ValidationError({"from": ["At most 7 days at a time."]})
        key = SeriesKey("conversion", step_from, step_to, _cohort(request))
        window = rollups.window(client(), definition, "", to_minute - 1, to_minute - from_minute, keys=(key,))
        rows = zip(window.minutes.tolist(), window.trials[0].tolist(), window.hits[0].tolist(), strict=True)
        results = [{"at": iso(clock.from_minute(minute)), "trials": trials, "hits": hits} for minute, trials, hits in rows]
        return Response({"step": key.step, "cohort": key.cohort.to_json(), "results": results})


class Events(DataView):
    """The last messages of ingest with what each step did to them: a sample, kept for one hour, personal data taken out."""

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("after", int, description="Epoch milliseconds; only newer ones.")],
    )
    def get(self, request: Request) -> Response:
        project = scope.project(request)
        found = recent.latest(client(), project.pk, min(_number(request, "limit", 100), 500), _number(request, "after", 0))
        results = [{**row, "at": iso(clock.from_ms(row["at"])), "at_ms": row["at"]} for row in found]
        return Response({"next": None, "previous": None, "results": results})


class Health(APIView):
    """Spool, drain and drop reasons."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        status: dict[str, Any] = msgspec.to_builtins(read_status(settings.DATA_DIR / "spool"), str_keys=True)
        mine = {str(project.pk): project.name for project in scope.projects(request)}
        drops = {mine[key]: reasons for key, reasons in status.pop("drops").items() if key in mine}
        return Response(status | {"drops": drops, "last_error": pipeline.ingest_status().get("last_error", "")})


def _cohort(request: Request) -> Cohort:
    pairs = [text.partition(":")[::2] for text in request.query_params.getlist("cohort")]
    wrong = [name for name, value in pairs if name not in DIMENSIONS or not value]
    if wrong:
        raise exceptions.ValidationError({"cohort": [f"Write dimension:value; {wrong[0]!r} is no dimension."]})
    return Cohort.of(pairs)


def _time(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise exceptions.ValidationError({name: ["An ISO 8601 time with its zone, like 2026-11-21T14:25:00Z."]})
    return moment


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise exceptions.ValidationError({name: ["A whole number."]})
    return int(text)
