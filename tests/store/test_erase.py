"""Erasing leaves nothing of the person or the time, and everything of the others."""

from decimal import Decimal

import pytest

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import ranges, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import erase, events, recent
from funnelwatch.store.session_sql import reach_minutes

START = 1_793_100_000_000
MINUTE = START // 60_000
TABLES = ("events", "journey", "visitors")


def a_session(project_id: int, visitor: str, minute: int, user: str = "") -> list[Event]:
    """A purchase in three minutes, confirmed by the server, which knows the order and nobody."""
    made = []
    for index, name in enumerate(("view_item", "add_to_cart", "purchase", "purchase")):
        server, at = index == 3, START + (minute + index) * 60_000
        made.append(Event(
            project_id=project_id, message_id=f"{visitor}-{index}", name=name, ts=at, received_at=at, visitor_id="" if server else visitor,
            user_id="" if server or index < 2 else user, session_id="" if server else "s", channel="server" if server else "browser",
            order_id=f"order-{visitor}" if name == "purchase" else "", value=Decimal(10) if name == "purchase" else None, device="mobile",
        ))  # fmt: skip
    return made


@pytest.fixture
def funnel(store: Client, project_id: int) -> FunnelDef:
    made = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>add_to_cart>purchase"))
    shop = [e for n in range(10) for e in a_session(project_id, f"v{n}", 2 * n, user="anna" if n in (3, 4) else "")]
    events.insert(store, shop, f"erase-{project_id}")
    recent.insert(store, [{"project_id": project_id, "at": e.ts, "message_id": e.message_id, "name": e.name, "outcome": "accepted",
                           "notes": [], "scrubbed": {}} for e in shop])  # fmt: skip
    roll_up(store, made, "", MINUTE, MINUTE + 60)
    return made


def visitors(store: Client, funnel: FunnelDef, table: str) -> set[str]:
    sql = f"SELECT DISTINCT visitor_id FROM {table} WHERE project_id = {{p:UInt32}} AND visitor_id != ''"
    return set(store.query(sql, {"p": funnel.project_id}).columns[0])


def entered(store: Client, funnel: FunnelDef) -> dict[tuple[int, int], int]:
    """Arrivals of everyone by (minute since START, step)."""
    rows = store.query(
        """
        SELECT minute - {start:UInt32}, step, sum(entered) FROM funnel_minute
        WHERE project_id = {p:UInt32} AND dims = ''
          AND (minute, version) IN (SELECT minute, max(version) FROM rollup_minutes WHERE project_id = {p:UInt32} GROUP BY minute)
        GROUP BY minute, step
        """,
        {"p": funnel.project_id, "start": MINUTE},
    )
    return {(minute, step): count for minute, step, count in rows}


def roll_up_again(store: Client, funnel: FunnelDef, receipt: erase.Receipt) -> None:
    for first, end in ranges(receipt.minutes):
        roll_up(store, funnel, "", first, end)


def test_a_person_goes_by_user_id_with_every_visitor_id_and_order(store: Client, funnel: FunnelDef) -> None:
    receipt = erase.person(store, funnel.project_id, ["anna"])
    roll_up_again(store, funnel, receipt)
    assert receipt.rows == {"ingest_recent": 8, "journey": 8, "visitors": 2, "events": 8}
    for table in TABLES:
        assert visitors(store, funnel, table) == {f"v{n}" for n in range(10) if n not in (3, 4)}
    left = store.query("SELECT count() FROM events WHERE project_id = {p:UInt32} AND order_id IN ('order-v3', 'order-v4')", {"p": funnel.project_id})
    assert left.scalar() == 0
    assert entered(store, funnel) == {(2 * n + step - 1, step): 1 for n in range(10) if n not in (3, 4) for step in (1, 2, 3)}
    assert sum(erase.person(store, funnel.project_id, ["anna"]).rows.values()) == 0


def test_a_dry_run_names_the_same_rows_and_changes_nothing(store: Client, funnel: FunnelDef) -> None:
    before = entered(store, funnel)
    planned = erase.person(store, funnel.project_id, ["anna"], dry_run=True)
    planned_time = erase.time_range(store, funnel.project_id, START, START + 600_000, 300, dry_run=True)
    assert planned.dry_run
    assert planned_time.rows["events"] > 0
    assert visitors(store, funnel, "events") == {f"v{n}" for n in range(10)}
    assert entered(store, funnel) == before
    assert erase.person(store, funnel.project_id, ["anna"]).rows == planned.rows


def test_a_time_range_goes_and_sessions_it_cut_off_are_told_anew(store: Client, funnel: FunnelDef) -> None:
    cut = 5
    receipt = erase.time_range(store, funnel.project_id, START, START + cut * 60_000, reach_minutes(funnel))
    roll_up_again(store, funnel, receipt)
    arrivals = entered(store, funnel)
    assert min(minute for minute, _ in arrivals) >= cut
    assert visitors(store, funnel, "visitors") == visitors(store, funnel, "events")  # of those cut off, the later part is the first
    # sessions that began within the range have lost their first step, and with it the funnel
    assert arrivals == {(2 * n + step - 1, step): 1 for n in range(10) if 2 * n >= cut for step in (1, 2, 3)}


def test_erased_minutes_are_as_if_never_counted_until_something_late_happens_in_them(store: Client, funnel: FunnelDef) -> None:
    cut = 5
    receipt = erase.time_range(store, funnel.project_id, START, START + cut * 60_000, reach_minutes(funnel))
    roll_up_again(store, funnel, receipt)
    counted = "SELECT minute - {start:UInt32} FROM rollup_minutes FINAL WHERE project_id = {p:UInt32} ORDER BY minute"
    params = {"p": funnel.project_id, "start": MINUTE}
    assert store.query(counted, params).columns[0][0] == cut
    assert sum(erase.time_range(store, funnel.project_id, START, START + cut * 60_000, 0, dry_run=True).rows.values()) == 0
    events.insert(store, a_session(funnel.project_id, "late", 1), f"late-{funnel.project_id}")
    roll_up(store, funnel, "", MINUTE + 1, MINUTE + 4)
    assert {minute: step for (minute, step), count in entered(store, funnel).items() if minute < cut} == {1: 1, 2: 2, 3: 3}


def test_a_minute_partly_erased_keeps_what_lies_outside(store: Client, funnel: FunnelDef) -> None:
    """The visits begin every two minutes, on the minute: half a minute later each has one arrival to keep and none to lose."""
    before = entered(store, funnel)
    receipt = erase.time_range(store, funnel.project_id, START + 4 * 60_000 + 30_000, START + 4 * 60_000 + 45_000, reach_minutes(funnel))
    assert receipt.minutes[0] == MINUTE + 4
    roll_up_again(store, funnel, receipt)
    assert entered(store, funnel) == before
    assert sum(erase.time_range(store, funnel.project_id, START + 4 * 60_000 + 30_000, START + 4 * 60_000 + 45_000, 0, dry_run=True).rows.values()) == 0


def test_the_choice_of_what_a_day_is_cut_by_goes_with_the_whole_day_only(store: Client, project_id: int) -> None:
    day = MINUTE // 1_440
    days = [(day + n) * 1_440 for n in range(4)]
    store.insert("cohort_values", {
        "project_id": [project_id] * 4, "funnel_id": [1] * 4, "run_id": [""] * 4, "from_minute": days, "dims": [""] * 4, "value": [""] * 4, "sessions": [0] * 4,
    })  # fmt: skip
    erase.time_range(store, project_id, days[0] * 60_000 + 1, days[3] * 60_000 - 1, 0)
    left = store.query("SELECT from_minute FROM cohort_values WHERE project_id = {p:UInt32} ORDER BY from_minute", {"p": project_id})
    assert list(left.columns[0]) == [days[0], days[2], days[3]]


def test_an_empty_id_erases_nobody(store: Client, funnel: FunnelDef) -> None:
    with pytest.raises(ValueError, match="nobody"):
        erase.person(store, funnel.project_id, [""])
    with pytest.raises(ValueError, match="before it begins"):
        erase.time_range(store, funnel.project_id, START, START, 300)
