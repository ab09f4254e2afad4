"""The funnel explorer: how many made each step, against the same time a week before, whole and by one dimension."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import QueryDict

from funnelwatch.core import clock
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.vocabulary import DIMENSIONS
from funnelwatch.pipeline.funnels import UNSEEN_DAYS, counted, watched_funnels
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels, names, sessions
from funnelwatch.store.queries.ages import settled
from funnelwatch.store.queries.funnels import StepCount
from funnelwatch.store.queries.span import Span
from funnelwatch.web import format, words
from funnelwatch.web.data import stored

#: Code -> (words, minutes, minutes a point of the trend).
PERIODS = {
    "15m": ("Last 15 min", 15, 1),
    "1h": ("Last hour", 60, 5),
    "3h": ("Last 3 h", 180, 10),
    "24h": ("Last 24 h", 1440, 60),
    "7d": ("Last 7 days", 10_080, 360),
    "28d": ("Last 28 days", 40_320, 1440),
}
DAY, WEEK = 1_440, 10_080
BREAKDOWNS = tuple(name for name in DIMENSIONS if name not in ("consent", "currency"))
ROWS = 12
#: Of what those who left did next, most first.
NEXT = 7
#: Fewer sessions than this in a cell make no comparison.
FEW = 50
#: Upper ends, in minutes, of the bars of the time to convert.
BINS = (1, 2, 3, 5, 10, 20, 40, 60)


@dataclass(frozen=True, slots=True)
class Filters:
    """The query string, unknown values dropped."""

    period: str = "24h"
    by: str = "device"
    funnel: str = ""
    step: str = ""
    until: str = ""  # the last day of the period, in the shop's zone; empty is now

    @classmethod
    def of(cls, params: QueryDict) -> "Filters":
        period, by = params.get("period", "24h"), params.get("by", "device")
        return cls(
            period=period if period in PERIODS else "24h",
            by=by if by in BREAKDOWNS else "device",
            funnel=params.get("funnel", "")[:60],
            step=params.get("step", "")[:60],
            until=_day(params.get("until", "")),
        )


def context(project: Project, filters: Filters) -> dict[str, Any]:
    """Template context of the page; without `report` while the store is away or nothing was collected."""
    today = clock.now().astimezone(ZoneInfo(project.timezone)).date().isoformat()
    if filters.until >= today:  # the day is not over
        filters = replace(filters, until="")
    shown = stored.ask(lambda: _report(stored.client(), project, filters))
    return {
        "filters": filters,
        "today": today,
        "periods": [(code, name) for code, (name, *_) in PERIODS.items()],
        "breakdowns": [(name, words.DIMENSIONS.get(name, words.humanise(name))) for name in BREAKDOWNS],
        "by_label": words.DIMENSIONS.get(filters.by, words.humanise(filters.by)),
        "report": shown,
        "reachable": shown is not None,
    }


def _report(client: Client, project: Project, filters: Filters) -> dict[str, Any]:
    _, minutes, bucket = PERIODS[filters.period]
    now = clock.to_minute(clock.now())
    minute = _end_of(filters.until, project) if filters.until else now
    # The running minute is looked into for what is collected, and not counted.
    looked_at = minute - max(UNSEEN_DAYS * DAY, minutes)
    watched = watched_funnels(client, project, looked_at * 60_000, (minute + 1) * 60_000)
    chosen = next((each for each in watched if each.whole.name == filters.funnel), watched[0] if watched else None)
    if chosen is None:
        return {"funnels": [], "newest": _newest(client, project, looked_at, minute)}
    funnel = counted(client, project, chosen.whole, minute - minutes, minute) or chosen.collected
    span = Span(funnel, minute - minutes, minute, now)
    # A week before, as it was known this long after: late conversions are missing from both alike.
    before = Span(funnel, span.from_minute - WEEK, span.to_minute - WEEK, span.as_of_minute - WEEK)
    now_report, then_report = funnels.report(client, span, (filters.by,)), funnels.report(client, before, (filters.by,))
    steps = _steps(now_report["steps"], then_report["steps"])
    pair = next((i for i, step in enumerate(funnel.steps[1:]) if step.name == filters.step), _weakest(steps))
    compared = bool(then_report["steps"][0]["entered"] and not then_report["minutes_missing"])
    return {
        "funnels": [each.whole.name for each in watched],
        "name": chosen.whole.name,
        "missing": [words.step(step.name) for step in chosen.whole.steps if step not in funnel.steps],
        "being_counted": bool(now_report["minutes_missing"]),
        "compared": compared,
        "first": steps[0],
        "last": steps[-1],
        "overall": steps[-1]["entered"] / steps[0]["entered"] if steps[0]["entered"] else None,
        "steps": [step | {"selected": i == pair + 1} for i, step in enumerate(steps)],
        "rows": _rows(now_report, then_report),
        "detail": _detail(client, project, span, before, pair, bucket, compared) | {"left": steps[pair + 1]["left"]},
        "window": chosen.whole.window_minutes,
        "count_by": chosen.whole.count_by,
    }


def _steps(now: list[dict[str, Any]], then: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One column a step: what the step before sent on. The first has nobody before it."""
    columns = [{"name": words.step(now[0]["step"]), "code": now[0]["step"], "entered": now[0]["entered"], "rate": None}]
    for sent, arrived, sent_then in zip(now, now[1:], then, strict=False):
        columns.append(
            {
                "name": words.step(arrived["step"]),
                "code": arrived["step"],
                "entered": arrived["entered"],
                "rate": sent["rate"],
                "interval": sent["interval"],
                "left": sent["entered"] - (sent["converted"] or 0),
                "complete": sent["complete"],
                **_against(sent, sent_then),
            }
        )
    return columns


def _against(now: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """The difference to a week before and whether it is beyond chance."""
    if now["rate"] is None or then["rate"] is None or min(now["entered"], then["entered"]) < FEW:
        return {"then": None, "difference": None, "tone": "flat"}
    row = funnels.compare((_count(then),), (_count(now),))[0]
    low, high = row["interval"]
    return {"then": then["rate"], "difference": row["difference"], "tone": "bad" if high < 0 else "good" if low > 0 else "flat"}


def _count(row: dict[str, Any]) -> StepCount:
    return StepCount(row["step"], row["entered"], row["converted"], row["complete"])


def _weakest(steps: list[dict[str, Any]]) -> int:
    """The pair that lost most against a week before; the last one when nothing is beyond chance."""
    lost = [(step["difference"], i) for i, step in enumerate(steps[1:]) if step["tone"] == "bad"]
    return min(lost)[1] if lost else len(steps) - 2


def _rows(now: dict[str, Any], then: dict[str, Any]) -> list[dict[str, Any]]:
    """The largest groups; each cell against the same group a week before."""
    everyone = now["steps"][0]["entered"]
    earlier = {Cohort.from_json(group["cohort"]): group["steps"] for group in then["groups"]}
    rows = []
    for group in now["groups"][:ROWS]:
        cohort = Cohort.from_json(group["cohort"])
        steps, before = group["steps"], earlier.get(cohort)
        cells = [
            {"rate": step["rate"], "few": step["entered"] < FEW, **(_against(step, before[i]) if before else {"difference": None, "tone": "flat"})}
            for i, step in enumerate(steps[:-1])
        ]
        first, last = steps[0]["entered"], steps[-1]["entered"]
        rows.append({
            "name": cohort.label(), "share": first / everyone if everyone else None, "cells": cells, "entered": first,
            "overall": last / first if first else None, "orders": last,
        })  # fmt: skip
    return rows


def _detail(client: Client, project: Project, span: Span, before: Span, pair: int, bucket: int, compared: bool) -> dict[str, Any]:
    """The chosen pair of steps over time, what those who left did next, and how long it took in as long a time that is old enough to tell."""
    step_from, step_to = span.funnel.pairs[pair]
    points = funnels.series(client, span, step_from, bucket_minutes=bucket)
    then = {row["minute"] + WEEK: row for row in funnels.series(client, before, step_from, bucket_minutes=bucket)} if compared else {}
    rate: Callable[[dict[str, Any] | None], float | None] = lambda row: (  # noqa: E731
        round(row["converted"] / row["entered"] * 100, 3) if row and row["entered"] >= FEW / 5 else None
    )
    old = settled(client, replace(span, from_minute=0), pair + 1)
    old = replace(old, from_minute=max(old.to_minute - (span.to_minute - span.from_minute), 0))
    waits = funnels.time_to_convert(client, old, step_to)
    nothing = [None] * len(points)
    return {
        "name": words.step_range(f"{step_from}->{step_to}"),
        "waits": waits | {"bars": _bars(waits), "until": old.to_minute * 60},
        "next": _next(client, span, step_from),
        "chart": {
            "zone": project.timezone, "locale": "en", "currency": project.currency, "unit": "percent", "worse": "down", "cp": None,
            "changes": [], "responses": [], "x": [row["minute"] * 60 for row in points],
            "series": {"cohort": {"y": [rate(row) for row in points], "expected": [rate(then.get(row["minute"])) for row in points], "lo": nothing, "hi": nothing}},
        } if points else None,
        "points": [{"at": row["minute"] * 60, "rate": row["converted"] / row["entered"] if row["entered"] else None, "entered": row["entered"]} for row in points],
    }  # fmt: skip


def _next(client: Client, span: Span, step: str) -> dict[str, Any]:
    """What those did who went no further than the step, in the last day of the time: it is read from the events themselves."""
    day = replace(span, from_minute=max(span.from_minute, span.to_minute - DAY))
    found = sessions.drop_off(client, day, step, limit=NEXT)
    most = max((row["share"] for row in found["next"]), default=1.0)
    rows = [row | {"label": words.next_event(row["event"], row["error_code"]), "width": row["share"] / most * 100} for row in found["next"]]
    return {"left": found["left"], "left_out": found["left_out"], "rows": rows, "cut": day != span}


def _newest(client: Client, project: Project, looked_at: int, minute: int) -> str:
    """The day of the newest event before `minute`, in the shop's zone, where none came since `looked_at`: imported history may lie years back."""
    newest = names.newest(client, project.pk, minute * 60_000 - 1)
    if newest is None or newest >= looked_at * 60_000:
        return ""
    return _day(clock.from_ms(newest).astimezone(ZoneInfo(project.timezone)).date().isoformat())


def _day(text: str) -> str:
    """A day as ISO 8601 writes it, empty for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    return day.isoformat() if 1970 < day.year < 9999 else ""


def _end_of(day: str, project: Project) -> int:
    """The minute in which the next day begins where the shop is."""
    return clock.to_minute(datetime.combine(date.fromisoformat(day) + timedelta(days=1), time.min, ZoneInfo(project.timezone)))


def _bars(waits: dict[str, Any]) -> list[dict[str, Any]]:
    """Shares of those who went on, by minutes taken."""
    if not waits["count"]:
        return []
    edges = (0, *BINS, float("inf"))
    sums = [sum(count for minute, count in waits["histogram"] if low <= minute < high) for low, high in zip(edges, edges[1:], strict=False)]
    labels = [f"under {BINS[0]}", *(f"{low}{format.DASH}{high}" for low, high in zip(BINS, BINS[1:], strict=False)), "more"]
    most = max(sums)
    return [{"label": label, "share": total / waits["count"], "height": round(total / most * 100, 1)} for label, total in zip(labels, sums, strict=True)]
