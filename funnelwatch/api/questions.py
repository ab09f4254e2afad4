"""Questions about one funnel: how periods and cohorts compare, where people go who leave, who they are, what came of it."""

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from funnelwatch.api.asking import COHORT, STEP, cohort, countable, number, pair
from funnelwatch.api.base import Scoped
from funnelwatch.api.store import TIMES, client, collected, span
from funnelwatch.core import clock
from funnelwatch.incidents.contract import iso
from funnelwatch.projects.models import Funnel
from funnelwatch.store.queries import comparison, funnels, outcomes, rollups, sessions
from funnelwatch.store.queries.ages import settled
from funnelwatch.store.queries.span import Span

DAY, WEEK = 1_440, 10_080
MOST = 100
_WITH_TIMES = (
    OpenApiParameter("with_from", OpenApiTypes.DATETIME, description="The period to compare with; without it and with_to the same a week before."),
    OpenApiParameter("with_to", OpenApiTypes.DATETIME),
)
_LIMIT = OpenApiParameter("limit", int, description=f"At most {MOST}.")


class Questions(Scoped):
    """Read-only questions about a funnel. Without a time they are about the last 24 hours; minutes that are not over are left out.

    Every answer has the time it is about and `minutes_missing`, the minutes whose history is still being counted for this version.
    """

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[
            *TIMES,
            COHORT,
            *_WITH_TIMES,
            OpenApiParameter("with_cohort", str, many=True, description="The cohort to compare with, in the same period unless with_from says another; empty for everyone."),
        ],
    )
    @action(detail=True)
    def compare(self, request: Request, pk: str) -> Response:
        """Two periods, two cohorts or both: each step's rates with the difference (the asked one minus the one compared with) and its 95 % interval.

        Both sides are equally old: of equally long periods the earlier is seen as it was when it was as old as the later one, of others only
        what had the time to convert counts; `from`, `to` and `known_until` of each side say so.
        """
        mine = cohort(request)
        other = cohort(request, "with_cohort") if "with_cohort" in request.query_params else mine
        with countable():
            after = _asked(self.get_object(), request)
            before = after if other != mine and not _other_time(request) else _before(request, after)
            found = comparison.compared(client(), before, after, other, mine)
            sides = {side: _frame(after, found[side]) | {"cohort": who.to_json()} for side, who in (("before", other), ("after", mine))}
        return Response(sides | {"steps": found["steps"]})

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[*TIMES, *_WITH_TIMES, OpenApiParameter("least", int, description="Sessions a cohort needs in both periods; 50 without."), _LIMIT],
    )
    @action(detail=True)
    def movers(self, request: Request, pk: str) -> Response:
        """The cohorts whose step rates moved beyond chance against another period, by the conversions that makes, most first."""
        least, limit = number(request, "least", 50), _limit(request)
        with countable():
            after = _asked(self.get_object(), request)
            found = comparison.movers(client(), _before(request, after), after, least, limit)
            return Response(found | {side: _frame(after, found[side]) for side in ("before", "after")})

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[STEP, *TIMES, COHORT])
    @action(detail=True, url_path="time-to-convert")
    def time_to_convert(self, request: Request, pk: str) -> Response:
        """Minutes from step to step of those who went on: `count`, `median`, `p90` and `histogram` as [minutes, count].

        Minutes in which the slow ones may still be on their way are left out: `to` says up to when.
        """
        with countable():
            asked = _asked(self.get_object(), request)
            step_from, step_to = pair(request, asked.funnel)
            old = settled(client(), asked, funnels.number_of(asked.funnel, step_from))
            return Response(_time(old) | funnels.time_to_convert(client(), old, step_to, cohort(request)))

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[STEP, *TIMES, COHORT, _LIMIT])
    @action(detail=True, url_path="drop-off")
    def drop_off(self, request: Request, pk: str) -> Response:
        """What those did next who reached a step and not the one after it: `next`, each with its share of `left` and the 95 % interval.

        The first event within 30 minutes that is no `web_vital`; an empty one is leaving. `left_out` counts sessions that may still go on.
        """
        limit = _limit(request)
        with countable():
            asked, step = self._at_step(request)
            return Response(_time(asked) | sessions.drop_off(client(), asked, step, cohort(request), limit))

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[STEP, *TIMES, COHORT])
    @action(detail=True)
    def strips(self, request: Request, pk: str) -> Response:
        """Five sessions that went no further than a step, each beside one that did (same device, system, browser and country, nearest in time).

        A strip is event names at seconds from its start with their error codes, and nothing that says who it was. `passing` is null where
        nobody like it went on. `left_out` counts sessions too young to tell.
        """
        with countable():
            asked, step = self._at_step(request)
            return Response(_time(asked) | sessions.strips(client(), asked, step, cohort(request)))

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[STEP, *TIMES, COHORT, OpenApiParameter("least", int, description="Sessions a property needs; 30 without.")],
    )
    @action(detail=True)
    def odds(self, request: Request, pk: str) -> Response:
        """Those who went on from a step against those who did not, by property: the odds ratio with its 95 % interval, clearest first.

        A ratio above 1: with the property more go on than without it. `left_out` counts sessions too young to tell.
        """
        least = number(request, "least", 30)
        with countable():
            asked, step = self._at_step(request)
            return Response(_time(asked) | sessions.odds_ratios(client(), asked, step, cohort(request), least))

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[*TIMES, COHORT])
    @action(detail=True)
    def outcomes(self, request: Request, pk: str) -> Response:
        """Orders, units, revenue and refunds by currency (never summed across), and trouble by step, class and code.

        The step is the deepest one reached by then, empty before the first. Trouble are failed payments, refused coupons, articles out of
        stock, exceptions and failed requests. Of a cohort by SKU or category an order counts with its whole value. `average` is revenue an
        order, `per_session` revenue by each arrival at the funnel's first step in the same time.
        """
        with countable():
            asked, who = _asked(self.get_object(), request), cohort(request)
            money = [_in_json(row) for row in outcomes.orders(client(), asked, who)]
            return Response(_time(asked) | {"orders": money, "trouble": outcomes.trouble(client(), asked, who)})

    def _at_step(self, request: Request) -> tuple[Span, str]:
        asked = _asked(self.get_object(), request)
        return asked, pair(request, asked.funnel)[0]


def _asked(funnel: Funnel, request: Request) -> Span:
    """The time asked for up to the last minute that is over. Raises ValidationError where the funnel is not counted, StoreUnavailable."""
    from_minute, to_minute = span(request, DAY)
    now = clock.to_minute(clock.now())
    to_minute = max(min(to_minute, now), from_minute)
    return Span(collected(funnel, from_minute, to_minute), from_minute, to_minute, now - 1)


def _other_time(request: Request) -> bool:
    """Whether both ends of another period are given. Raises ValidationError for one of them."""
    missing = [name for name in ("with_from", "with_to") if not request.query_params.get(name)]
    if len(missing) == 1:
        raise ValidationError({missing[0]: ["Both with_from and with_to, or neither."]})
    return not missing


def _before(request: Request, after: Span) -> Span:
    """The period to compare with."""
    if not _other_time(request):
        return replace(after, from_minute=max(after.from_minute - WEEK, 0), to_minute=max(after.to_minute - WEEK, 0))
    from_minute, to_minute = span(request, DAY, "with_")
    return replace(after, from_minute=from_minute, to_minute=max(min(to_minute, after.as_of_minute + 1), from_minute))


def _frame(asked: Span, frame: dict[str, int]) -> dict[str, Any]:
    """One side of a comparison, as it was counted."""
    side = replace(asked, from_minute=frame["from"], to_minute=frame["to"])
    return _time(side) | {"known_until": iso(clock.from_minute(frame["as_of"] + 1))}


def _time(asked: Span) -> dict[str, Any]:
    """What was counted, in the words of every answer."""
    missing = rollups.missing(client(), asked.funnel, asked.from_minute, asked.to_minute)
    return {
        "from": iso(clock.from_minute(asked.from_minute)), "to": iso(clock.from_minute(asked.to_minute)), "minutes_missing": len(missing),
    }  # fmt: skip


def _in_json(row: dict[str, Any]) -> dict[str, Any]:
    """Money as numbers beside their currency, null where it is unknown."""
    money = {name: float(row[name]) for name in ("revenue", "average", "per_session", "refunded") if row[name] is not None}
    return row | money | {"currency": row["currency"] or None, "steps": [step | {"revenue": float(step["revenue"])} for step in row["steps"]]}


def _limit(request: Request) -> int:
    return min(number(request, "limit", 20), MOST)
