"""What replaced versions leave behind goes; what anyone may still read stays."""

import threading

import numpy as np
import pytest

from funnelwatch.core.cohort import EVERYONE
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, default_steps
from funnelwatch.core.series import SeriesKey
from funnelwatch.rollup import DEFAULT_SETS, forget_run, prune, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events, journey, rollup_writes, rollups, sweep
from funnelwatch.store.scope import Scope

MINUTE = 29_883_600
SPAN = 30
TABLES = ("journey", "funnel_minute", "event_minute")


@pytest.fixture
def funnel(store: Client, project_id: int) -> FunnelDef:
    """A session a minute, a failed payment in each, rolled up twice: so each row is there twice."""
    made = FunnelDef(1, project_id, "storefront", 1, default_steps())
    shop = [
        Event(project_id=project_id, message_id=f"{project_id}-{number}-{name}", name=name, ts=at, received_at=at, session_id="s",
              visitor_id=f"v{number}", device="mobile")
        for number in range(SPAN) for at in [(MINUTE + number) * 60_000] for name in ("page_view", "view_item", "payment_failed")
    ]  # fmt: skip
    events.insert(store, shop, f"sweep-{project_id}")
    for _ in range(2):
        roll_up(store, made, "", MINUTE, MINUTE + SPAN)
    return made


def rows(store: Client, funnel: FunnelDef, run_id: str = "") -> dict[str, int]:
    return {
        table: store.query(
            f"SELECT count() FROM {table} WHERE project_id = {{p:UInt32}} AND run_id = {{r:String}}",
            {"p": funnel.project_id, "r": run_id},
        ).scalar()
        for table in TABLES
    }


def counted(store: Client, funnel: FunnelDef) -> np.ndarray:
    key = SeriesKey("volume", "view_item", "", EVERYONE)
    return rollups.window(store, funnel, "", MINUTE + SPAN - 1, SPAN, keys=[key]).hits


def test_the_rows_of_a_replaced_version_go_and_no_number_changes(store: Client, funnel: FunnelDef) -> None:
    twice = rows(store, funnel)
    assert sweep.prune(store, funnel.project_id, older_than_s=0) == SPAN
    assert rows(store, funnel) == {table: count // 2 for table, count in twice.items()}
    assert (counted(store, funnel) == 1).all()
    assert sweep.prune(store, funnel.project_id, older_than_s=0) == 0


def test_versions_replaced_within_the_hour_stay(store: Client, funnel: FunnelDef) -> None:
    before = rows(store, funnel)
    assert prune(store, funnel.project_id) == 0
    assert rows(store, funnel) == before


def test_a_roll_up_at_work_loses_nothing(store: Client, funnel: FunnelDef) -> None:
    scope, version = Scope(funnel, "", MINUTE, MINUTE + SPAN), rollup_writes.new_version()
    journey.insert(store, scope, version)
    rollup_writes.insert_arrivals(store, scope, version, DEFAULT_SETS)
    sweep.prune(store, funnel.project_id, older_than_s=0)
    rollup_writes.insert_events(store, scope, version, DEFAULT_SETS)
    rollup_writes.commit(store, scope, version)
    assert (counted(store, funnel) == 1).all()
    sweep.prune(store, funnel.project_id, older_than_s=0)
    assert (counted(store, funnel) == 1).all()


def test_a_reader_sees_the_same_numbers_before_during_and_after(store: Client, funnel: FunnelDef) -> None:
    done, seen = threading.Event(), list[float]()

    def read() -> None:
        while not done.is_set():
            seen.append(float(counted(store, funnel).sum()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        sweep.prune(store, funnel.project_id, older_than_s=0)
    finally:
        done.set()
        reader.join()
    assert set(seen) == {float(SPAN)}


def test_forgetting_a_replay_leaves_the_live_roll_ups(store: Client, funnel: FunnelDef) -> None:
    live = rows(store, funnel)
    roll_up(store, funnel, "replay", MINUTE, MINUTE + SPAN)
    assert rows(store, funnel, "replay")["journey"] > 0
    forget_run(store, funnel.project_id, "replay")
    assert set(rows(store, funnel, "replay").values()) == {0}
    assert rows(store, funnel) == live
    with pytest.raises(ValueError, match="live"):
        forget_run(store, funnel.project_id, "")
