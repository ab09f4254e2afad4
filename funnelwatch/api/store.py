"""Questions to the event store: which time, which funnel, and 503 while the store is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework import exceptions
from rest_framework.request import Request

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.pipeline.funnels import counted
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.store.client import Client, StoreUnavailable

TIMES = (OpenApiParameter("from", OpenApiTypes.DATETIME), OpenApiParameter("to", OpenApiTypes.DATETIME))


class Unavailable(exceptions.APIException):
    """The event store is away; what is measured cannot be read."""

    status_code = 503
    default_detail = "The event store cannot be reached just now. Events are kept; try again."


@contextmanager
def store_or_unavailable() -> Iterator[None]:
    """Raises Unavailable (503) where the block finds the event store away."""
    try:
        yield
    except StoreUnavailable as error:
        raise Unavailable() from error


def client() -> Client:
    """The event store of this process. Raises StoreUnavailable."""
    return pipeline.runtime().client


def span(request: Request, minutes: int, prefix: str = "") -> tuple[int, int]:
    """Epoch minutes [from, to) of `?from&to`, the minute `to` lies in with them; the last `minutes` without them. Raises ValidationError.

    `prefix` stands before both names.
    """
    end, start = _time(request, f"{prefix}to"), _time(request, f"{prefix}from")
    to_minute = -(-clock.to_ms(end or clock.now()) // 60_000)
    from_minute = clock.to_minute(start) if start else to_minute - minutes
    if from_minute >= to_minute:
        raise exceptions.ValidationError({f"{prefix}from": ["This lies after the end."]})
    return from_minute, to_minute


def watched(project: Project, name: str, from_minute: int, to_minute: int) -> FunnelDef:
    """The funnel of that name with the steps collected in [from_minute, to_minute). Raises ValidationError, StoreUnavailable."""
    newest = Funnel.objects.filter(project=project, active=True, name=name).select_related("project").order_by("version").last()
    if newest is None:
        raise exceptions.ValidationError({"funnel": ["No funnel of that name is watched."]})
    return collected(newest, from_minute, to_minute)


def collected(funnel: Funnel, from_minute: int, to_minute: int) -> FunnelDef:
    """A funnel version with the steps collected in [from_minute, to_minute). Raises ValidationError for fewer than two, StoreUnavailable."""
    found = counted(client(), funnel.project, funnel.definition(), from_minute, to_minute)
    if found is None:
        raise exceptions.ValidationError({"funnel": ["Fewer than two of its steps are collected in this time."]})
    return found


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
    if moment.timestamp() < 0:
        raise exceptions.ValidationError({name: ["Nothing was measured before 1970."]})
    return moment
