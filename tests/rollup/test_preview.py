"""A preview counts what a report would, by the same rules, before anything is rolled up."""

import sys
from dataclasses import replace
from typing import Literal

import pytest

from funnelwatch.rollup import preview, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels
from funnelwatch.store.queries.span import Span
from tests.rollup.histories import MIDNIGHT, MINUTE, a_funnel, a_history, ids, insert_twice


@pytest.mark.parametrize(("count_by", "parts"), [("session", 2), ("visitor", 1)])
def test_a_preview_equals_the_report_of_the_same_day(
    store: Client, monkeypatch: pytest.MonkeyPatch, count_by: Literal["session", "visitor"], parts: int
) -> None:
    funnel = replace(a_funnel(next(ids)), count_by=count_by)
    history = a_history(funnel.project_id, seed=23, visitors=60)
    insert_twice(store, history, 23)
    monkeypatch.setattr(sys.modules["funnelwatch.rollup.roll_up"], "PART_EVENTS", len(history) // parts)
    shown = preview(store, funnel, MIDNIGHT + 3_000 * MINUTE)
    assert shown is not None
    roll_up(store, funnel, "", shown.from_minute, shown.to_minute)
    span = Span(funnel, shown.from_minute, shown.to_minute, shown.to_minute + 10_000)
    want = [(step.step, step.entered, step.converted) for step in funnels.counts(store, span)]
    assert [(step.step, step.entered, step.converted) for step in shown.steps] == want
    assert want[0][1] > want[1][1] > 0
    counted = [e for e in history if not e.bot and not e.test]
    assert shown.matched[1] == sum(e.name == "add_to_cart" for e in counted)
    assert shown.excluding == (sum(e.name == "remove_from_cart" for e in counted),)


def test_the_day_ends_at_the_newest_event_not_dated_ahead(store: Client) -> None:
    funnel = a_funnel(next(ids))
    assert preview(store, funnel, MIDNIGHT) is None
    history = a_history(funnel.project_id, seed=5, visitors=10)
    insert_twice(store, history, 5)
    newest = max(e.ts for e in history if e.ts <= MIDNIGHT and not e.bot and not e.test)
    shown = preview(store, funnel, MIDNIGHT)
    assert shown is not None
    assert (shown.from_minute, shown.to_minute) == (newest // MINUTE + 1 - 1_440, newest // MINUTE + 1)
