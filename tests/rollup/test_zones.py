"""Whatever zone the engine or the shop lives in, a minute is a minute: half-hour zones, the hour that comes twice, the day that ends at another time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.rollup import preview, roll_up
from funnelwatch.store.client import Client, Pool
from funnelwatch.store.embedded import ChdbClient, open_connection
from funnelwatch.store.queries import funnels, names, rollups
from funnelwatch.store.queries.span import Span
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


class Abroad(ChdbClient):
    """The same store, seen by an engine that lives in another zone."""

    def __init__(self, path: Any, zone: str) -> None:
        super().__init__(path)
        self.zone = zone
        self._pool = Pool(self._connect)

    def _connect(self) -> Any:
        connection = open_connection(self.path)
        connection.query(f"SET session_timezone = '{self.zone}'")
        return connection


@pytest.fixture(scope="module")
def told(store: Client) -> tuple[FunnelDef, list[Event]]:
    funnel = a_funnel(next(ids))
    history = a_history(funnel.project_id, seed=31, visitors=60)
    insert_twice(store, history, 31)
    roll_up(store, funnel, "", FIRST, LAST)
    return funnel, history


@pytest.fixture(params=["Asia/Kolkata", "Europe/Berlin", "America/New_York"])
def abroad(store: ChdbClient, request: pytest.FixtureRequest) -> Iterator[Abroad]:
    client = Abroad(store.path, request.param)
    assert client.query("SELECT timezone()").scalar() == request.param
    yield client
    client.close()


def answers(client: Client, funnel: FunnelDef, run_id: str) -> list[Any]:
    """Questions that cut time into hours and days."""
    span = Span(funnel, FIRST, LAST, LAST + 10_000, run_id)
    return [
        funnels.report(client, span, ("device",)),
        funnels.series(client, span, "view"),
        names.counted(client, funnel.project_id, MIDNIGHT - 90 * MINUTE, MIDNIGHT + 90 * MINUTE),
        rollups.history(client, funnel, run_id, FIRST // 60, LAST // 60).trials.tolist(),
        preview(client, funnel, MIDNIGHT + 200 * MINUTE),
    ]


def test_roll_ups_made_in_another_zone_are_the_same(store: Client, abroad: Abroad, told: tuple[FunnelDef, list[Event]]) -> None:
    funnel, history = told
    roll_up(abroad, funnel, abroad.zone, FIRST, LAST)
    assert_same(stored(store, funnel, abroad.zone), expected(store, history, funnel), history)
    assert stored(store, funnel, abroad.zone) == stored(store, funnel)


def test_questions_asked_from_another_zone_get_the_same_answers(store: Client, abroad: Abroad, told: tuple[FunnelDef, list[Event]]) -> None:
    funnel, _ = told
    assert answers(abroad, funnel, "") == answers(store, funnel, "")


def test_the_history_spans_the_hour_that_berlin_has_twice(told: tuple[FunnelDef, list[Event]]) -> None:
    _, history = told
    berlin = [datetime.fromtimestamp(event.ts / 1000, ZoneInfo("Europe/Berlin")) for event in history]
    assert {moment.fold for moment in berlin if moment.hour == 2} == {0, 1}
