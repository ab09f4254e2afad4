"""Roll-ups done again, in pieces, at once, half, or with late events: the same rows."""

import itertools
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, Step
from funnelwatch.core.series import SeriesKey
from funnelwatch.pipeline.rolling import fill_history
from funnelwatch.rollup import DEFAULT_SETS, Mark, dirty_minutes, ranges, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events as event_queries
from funnelwatch.store.queries import funnels, journey, rollup_writes, rollups
from funnelwatch.store.queries.span import Span
from funnelwatch.store.scope import Scope
from tests.rollup.histories import (
    FIRST,
    LAST,
    MIDNIGHT,
    MINUTE,
    a_funnel,
    a_history,
    assert_same,
    expected,
    ids,
    insert_twice,
    stored,
)
from tests.rollup.reference import Point


def test_running_again_changes_nothing(store: Client, shop: tuple[FunnelDef, list[Event]]) -> None:
    funnel, _ = shop
    before = stored(store, funnel)
    roll_up(store, funnel, "", FIRST + 100, LAST)
    assert stored(store, funnel) == before


def test_two_workers_at_once_change_nothing(store: Client, shop: tuple[FunnelDef, list[Event]]) -> None:
    funnel, _ = shop
    before = stored(store, funnel)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(lambda start: roll_up(store, funnel, "", start, LAST), (FIRST, FIRST + 1)))
    assert stored(store, funnel) == before
    totals = rollups.window(store, funnel, "", LAST - 1, LAST - FIRST, keys=[SeriesKey("volume", "view", "", EVERYONE)])
    assert totals.hits.sum() == sum(1 for p in before.elements() if p.step == 1 and not p.name and not p.multi)


def test_a_run_that_died_before_its_commit_changes_nothing(store: Client, shop: tuple[FunnelDef, list[Event]]) -> None:
    funnel, _ = shop
    scope = Scope(funnel, "", FIRST, LAST)
    before = rollups.window(store, funnel, "", LAST - 1, LAST - FIRST)
    journey.insert(store, scope, 2**63)
    rollup_writes.insert_arrivals(store, scope, 2**63, DEFAULT_SETS)
    rollup_writes.insert_events(store, scope, 2**63, DEFAULT_SETS)
    after = rollups.window(store, funnel, "", LAST - 1, LAST - FIRST)
    assert after.keys == before.keys
    assert (after.trials == before.trials).all()
    assert (after.hits == before.hits).all()


@given(cuts=st.lists(st.integers(FIRST + 1, LAST - 1), max_size=4, unique=True))
@settings(max_examples=3, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_any_split_of_a_range_gives_the_same_rows(
    store: Client, shop: tuple[FunnelDef, list[Event]], cuts: list[int]
) -> None:
    funnel, _ = shop
    run_id = f"split-{sorted(cuts)}"
    edges = [FIRST, *sorted(cuts), LAST]
    for start, end in itertools.pairwise(edges):
        roll_up(store, funnel, run_id, start, end)
    assert stored(store, funnel, run_id) == stored(store, funnel)


@pytest.mark.parametrize("count_by", ["session", "visitor"])
def test_an_hour_at_a_time_reads_fewer_visitors_and_gives_the_same_rows(
    store: Client, count_by: Literal["session", "visitor"]
) -> None:
    funnel = replace(a_funnel(next(ids)), count_by=count_by)
    known = [msgspec.structs.replace(event, user_id="known") if event.visitor_id in ("visitor3", "visitor4") and event.ts % 2 else event
             for event in a_history(funnel.project_id, seed=11, visitors=40)]  # fmt: skip
    insert_twice(store, known, 11)
    roll_up(store, funnel, "whole", FIRST, LAST)
    for start in range(FIRST, LAST, 60):
        roll_up(store, funnel, "hours", start, min(start + 60, LAST))
    whole = stored(store, funnel, "whole")
    assert len(whole) > 100
    assert stored(store, funnel, "hours") == whole


def test_a_range_too_large_for_memory_is_made_in_parts_with_the_same_rows(
    store: Client, shop: tuple[FunnelDef, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    funnel, history = shop
    monkeypatch.setattr(sys.modules["funnelwatch.rollup.roll_up"], "PART_EVENTS", len(history) // 5)
    roll_up(store, funnel, "parts", FIRST, LAST)
    assert stored(store, funnel, "parts") == stored(store, funnel)
    whole, parts = (rollups.window(store, funnel, run_id, LAST - 1, LAST - FIRST) for run_id in ("", "parts"))
    assert parts.keys == whole.keys
    assert (parts.trials == whole.trials).all()
    assert (parts.hits == whole.hits).all()


def test_what_was_received_later_is_not_known_as_of_an_earlier_time(store: Client, shop: tuple[FunnelDef, list[Event]]) -> None:
    funnel, history = shop
    as_of = MIDNIGHT - 30 * MINUTE
    roll_up(store, funnel, "as-of", FIRST, LAST, as_of_ms=as_of)
    got = stored(store, funnel, "as-of")
    want = expected(store, [e for e in history if e.received_at <= as_of], funnel)
    assert strip_returning(got) == strip_returning(want)


def strip_returning(points: Counter[Point]) -> Counter[Point]:
    """When a visitor was first seen is not kept by time of receipt."""
    stripped: Counter[Point] = Counter()
    for point, times in points.items():
        stripped[replace(point, dims=tuple(d for d in point.dims if d[0] != "new_or_returning"))] += times
    return stripped


@pytest.mark.parametrize("count_by", ["session", "visitor"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_late_events_change_exactly_the_minutes_named_dirty(
    store: Client, count_by: Literal["session", "visitor"], seed: int
) -> None:
    funnel = replace(a_funnel(next(ids)), count_by=count_by)
    across = count_by == "visitor"
    history = a_history(funnel.project_id, seed, visitors=30)
    late = random.Random(seed).sample(history, 1)
    event_queries.insert(store, [e for e in history if e not in late], f"{funnel.project_id}-early")
    roll_up(store, funnel, "", FIRST, LAST)
    mark = dirty_minutes(store, funnel.project_id, Mark(), across).mark
    before = stored(store, funnel)
    assert dirty_minutes(store, funnel.project_id, mark, across) == ([], mark)
    wait_past(mark)
    event_queries.insert(store, late, f"{funnel.project_id}-late")
    touched = dirty_minutes(store, funnel.project_id, mark, across).minutes
    for start, end in ranges(touched):
        roll_up(store, funnel, "", start, end)
    after = stored(store, funnel)
    assert_same(after, expected(store, history, funnel), history)
    changed = {point.at // MINUTE for point in (after - before) | (before - after)}
    assert changed <= set(touched)
    assert len(touched) < len({e.ts // MINUTE for e in history})


def wait_past(mark: Mark) -> None:
    while clock.now_ms() <= mark.at:
        time.sleep(0.001)


def test_a_late_view_on_the_phone_reaches_the_purchase_on_the_laptop_of_the_same_user(store: Client) -> None:
    steps = (Step("view", ("page_view",)), Step("purchase", ("purchase",)))
    funnel = FunnelDef(1, next(ids), "by visitor", 1, steps, count_by="visitor")
    bought, viewed = (
        Event(project_id=funnel.project_id, message_id=name, name=name, ts=ts, received_at=received_at, visitor_id=device, user_id="ann")
        for name, ts, received_at, device in (
            ("purchase", MIDNIGHT + 5 * MINUTE, MIDNIGHT + 5 * MINUTE, "laptop"), ("page_view", MIDNIGHT, MIDNIGHT + 20 * MINUTE, "phone")
        )
    )  # fmt: skip
    event_queries.insert(store, [bought], f"{funnel.project_id}-early")
    roll_up(store, funnel, "", FIRST, LAST)
    mark = dirty_minutes(store, funnel.project_id, Mark(), across_devices=True).mark
    wait_past(mark)
    event_queries.insert(store, [viewed], f"{funnel.project_id}-late")
    touched = dirty_minutes(store, funnel.project_id, mark, across_devices=True).minutes
    assert touched == [MIDNIGHT // MINUTE, MIDNIGHT // MINUTE + 5]
    for start, end in ranges(touched):
        roll_up(store, funnel, "", start, end)
    assert [step.entered for step in funnels.counts(store, Span(funnel, FIRST, LAST, LAST))] == [1, 1]


def test_a_new_version_is_rolled_up_over_what_the_old_one_was(store: Client) -> None:
    funnel = a_funnel(next(ids))
    history = a_history(funnel.project_id, seed=3, visitors=40)
    insert_twice(store, history, 3)
    roll_up(store, funnel, "", FIRST, LAST)
    shorter = replace(funnel, version=2, steps=(funnel.steps[0], funnel.steps[3]))
    roll_up(store, shorter, "", LAST - 30, LAST)  # it was saved half an hour ago
    assert len(rollups.missing(store, shorter, FIRST, LAST)) == LAST - FIRST - 30
    assert fill_history(store, shorter, FIRST, LAST, seconds=0.0) == MIDNIGHT // MINUTE - FIRST
    assert fill_history(store, shorter, FIRST, LAST) == 0
    assert rollups.missing(store, shorter, FIRST, LAST) == []
    span = Span(shorter, FIRST, LAST, LAST + 10_000)
    want = Counter(p.step for p in expected(store, history, shorter).elements() if not p.name and not p.multi)
    assert [step.entered for step in funnels.counts(store, span)] == [want[1], want[2]]


def test_minutes_with_events_that_nobody_rolled_up_are_missing(store: Client) -> None:
    funnel = a_funnel(next(ids))
    history = a_history(funnel.project_id, seed=5, visitors=10)
    insert_twice(store, history, 5)
    busy = sorted({event.ts // MINUTE for event in history})
    assert rollups.missing(store, funnel, FIRST, LAST) == busy
    roll_up(store, funnel, "", busy[0], busy[5])
    assert rollups.missing(store, funnel, FIRST, LAST) == busy[5:]
    roll_up(store, funnel, "", FIRST, LAST)
    assert rollups.missing(store, funnel, FIRST, LAST) == []
