"""What was measured: series, last events, how the watch is doing."""

from typing import Any

import msgspec
from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from funnelwatch import pipeline
from funnelwatch.api import scope, serializers
from funnelwatch.api.asking import COHORT, STEP, cohort, number, pair
from funnelwatch.api.store import TIMES, client, span, store_or_unavailable, watched
from funnelwatch.core import clock
from funnelwatch.core.series import SeriesKey
from funnelwatch.incidents.contract import iso
from funnelwatch.ingest.status import read_poison, read_status
from funnelwatch.pipeline.points import points
from funnelwatch.projects import access
from funnelwatch.store.queries import coverage, recent

MOST_MINUTES = 7 * 1440


class Series(APIView):
    """Counts by minute of one series: trials (arrivals at the first step) and hits (arrivals at the second).

    `expected` hits by now with the range `low` to `high` that holds 19 of 20 minutes while nothing is wrong, null while nothing is
    learned; `complete`, the share of the minute's hits expected to have arrived by now, 1 once settled, null while that is not known.
    """

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[
            STEP,
            COHORT,
            OpenApiParameter("funnel", str),
            *TIMES,
        ],
    )
    def get(self, request: Request) -> Response:
        project = scope.project(request)
        from_minute, to_minute = _span(request, 180)
        with store_or_unavailable():
            definition = watched(project, request.query_params.get("funnel", "storefront"), from_minute, to_minute)
        key = SeriesKey("conversion", *pair(request, definition), cohort(request))
        if len(key.cohort.entries) > len(key.cohort.dimensions):
            raise exceptions.ValidationError({"cohort": ["One value of a dimension at a time: what to expect is learned for each by itself."]})
        with store_or_unavailable():
            rows = points(client(), project, definition, key, from_minute, to_minute)
        results = [{"at": iso(clock.from_minute(row.pop("minute"))), **row} for row in rows]
        return Response({"step": key.step, "cohort": key.cohort.to_json(), "results": results})


class Coverage(APIView):
    """Orders the shop's servers report and how many of them the SDK saw: all, by browser, by consent, by source. The last day without times.

    `dimension` and `value` are empty for all orders, `value` for those it is not known of. `coverage` is `both` of `server`, null without
    server-side orders; `interval` its 95 % interval. An order's dimensions are those of the same visitor, user or session in the day before it.
    """

    @extend_schema(responses={200: serializers.CoverageSerializer}, parameters=[*TIMES])
    def get(self, request: Request) -> Response:
        project = scope.project(request)
        from_minute, to_minute = _span(request, 1_440)
        with store_or_unavailable():
            rows = coverage.meter(client(), project.pk, from_minute * 60_000, to_minute * 60_000)
        return Response({"from": iso(clock.from_minute(from_minute)), "to": iso(clock.from_minute(to_minute)), "results": rows})


class Events(APIView):
    """The last messages of ingest with what each step did to them: a sample, kept for one hour, personal data taken out."""

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("after", int, description="Epoch milliseconds; only newer ones.")],
    )
    def get(self, request: Request) -> Response:
        project = scope.project(request)
        limit, after = min(number(request, "limit", 100), 500), number(request, "after", 0)
        with store_or_unavailable():
            found = recent.latest(client(), project.pk, limit, after)
        results = [{**row, "at": iso(clock.from_ms(row["at"])), "at_ms": row["at"]} for row in found]
        return Response({"next": None, "previous": None, "results": results})


class Health(APIView):
    """Spool, drain and drop reasons; to an admin also why the newest events set aside could not be stored."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        status: dict[str, Any] = msgspec.to_builtins(read_status(settings.DATA_DIR / "spool"), str_keys=True)
        mine = {str(project.pk): project.name for project in scope.projects(request)}
        drops, taken = ({mine[key]: counts for key, counts in status.pop(name).items() if key in mine} for name in ("drops", "projects"))
        aside = {project.name: _set_aside(project.pk) for project in scope.projects(request) if access.allows(scope.role(request, project), "admin")}
        with store_or_unavailable():
            ends = {name: pipeline.judged_until(int(key)) for key, name in mine.items()}
        judged = {name: iso(end) if end else None for name, end in ends.items()}
        error = pipeline.ingest_status().get("last_error", "")
        return Response(status | {"drops": drops, "projects": taken, "set_aside": aside, "judged_until": judged, "last_error": error})


def _set_aside(project_id: int) -> list[dict[str, Any]]:
    return [{"at": iso(clock.from_ms(row["at"])), "reason": row["reason"]} for row in read_poison(settings.DATA_DIR / "spool", project_id)]


def _span(request: Request, minutes: int) -> tuple[int, int]:
    found = span(request, minutes)
    if found[1] - found[0] > MOST_MINUTES:
        raise exceptions.ValidationError({"from": ["At most 7 days at a time."]})
    return found
