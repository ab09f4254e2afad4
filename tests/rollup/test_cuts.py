"""What a day is cut by is chosen at its first midnight: which pairs, and which values of a set; sessions are never lost by it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.core.events import Event, Item
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import cohorts, roll_up
from funnelwatch.rollup.cohorts import DEFAULT_PAIRS, choose_pairs
from funnelwatch.store.client import Client
from funnelwatch.store.queries import cuts, events, funnels
from funnelwatch.store.queries.span import Span

DAY = cuts.DAY
MIDNIGHT = 20_752 * DAY
#: SKU number k is seen in SKUS - k sessions a day.
SKUS = 12
NAMED = 5


def a_day(project_id: int, midnight: int, skus: range) -> list[Event]:
    return [
        Event(project_id=project_id, message_id=f"{midnight}-{sku}-{number}", name="view_item", ts=at, received_at=at, device="mobile",
              visitor_id=f"v{sku}-{number}", session_id=str(midnight), items=(Item(sku=f"sku{sku:02}"),))
        for sku in skus for number in range(SKUS - sku) for at in [(midnight + 60 + number) * 60_000]
    ]  # fmt: skip


@pytest.fixture
def funnel(store: Client, project_id: int, monkeypatch: pytest.MonkeyPatch) -> FunnelDef:
    monkeypatch.setattr(sys.modules["funnelwatch.rollup.roll_up"], "NAMED_VALUES", NAMED)
    shop = a_day(project_id, MIDNIGHT, range(SKUS)) + a_day(project_id, MIDNIGHT + DAY, range(SKUS))
    events.insert(store, shop, f"cuts-{project_id}")
    made = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    roll_up(store, made, "", MIDNIGHT, MIDNIGHT + 2 * DAY)
    return made


def by_value(store: Client, funnel: FunnelDef, dims: str, day: int) -> dict[str, int]:
    """Entered sessions by value on a day."""
    return dict(store.query(
        """
        SELECT value, sum(entered) FROM funnel_minute
        WHERE project_id = {p:UInt32} AND dims = {d:String} AND intDiv(minute, 1440) * 1440 = {day:UInt32}
          AND (minute, version) IN (SELECT minute, max(version) FROM rollup_minutes WHERE project_id = {p:UInt32} GROUP BY minute)
        GROUP BY value
        """,
        {"p": funnel.project_id, "d": dims, "day": day},
    ))  # fmt: skip


def test_the_first_day_counts_every_value_by_name(store: Client, funnel: FunnelDef) -> None:
    assert by_value(store, funnel, "sku", MIDNIGHT) == {f"sku{sku:02}": SKUS - sku for sku in range(SKUS)}


def test_the_next_day_counts_the_largest_by_name_and_pools_the_rest(store: Client, funnel: FunnelDef) -> None:
    want = {f"sku{sku:02}": SKUS - sku for sku in range(NAMED)} | {"other": sum(SKUS - sku for sku in range(NAMED, SKUS))}
    assert by_value(store, funnel, "sku", MIDNIGHT + DAY) == want


def test_the_cut_is_on_record_with_what_was_pooled(store: Client, funnel: FunnelDef) -> None:
    rows = dict(store.query(
        "SELECT value, sessions FROM cohort_values WHERE project_id = {p:UInt32} AND dims = 'sku'", {"p": funnel.project_id}
    ))  # fmt: skip
    assert rows == by_value(store, funnel, "sku", MIDNIGHT + DAY)


def test_a_report_says_on_how_many_days_small_values_were_pooled(store: Client, funnel: FunnelDef) -> None:
    def asked(by: str, days: int) -> dict[str, object]:
        return funnels.report(store, Span(funnel, MIDNIGHT, MIDNIGHT + days * DAY, MIDNIGHT + 3 * DAY), (by,))

    assert (asked("sku", 1)["pooled_days"], asked("sku", 2)["pooled_days"], asked("device", 2)["pooled_days"]) == (0, 1, 0)
    assert [group["cohort"] for group in asked("sku", 2)["groups"] if group["cohort"][0]["value"] == "other"]
    assert asked("sku", 2)["left_out"] == 0


def test_a_set_of_few_values_counts_a_new_value_by_name(store: Client, funnel: FunnelDef) -> None:
    at = (MIDNIGHT + DAY + 600) * 60_000
    tablet = Event(project_id=funnel.project_id, message_id="new", name="view_item", ts=at, received_at=at, visitor_id="new", device="tablet")
    events.insert(store, [tablet], f"cuts-new-{funnel.project_id}")
    roll_up(store, funnel, "", MIDNIGHT + DAY + 600, MIDNIGHT + DAY + 601)
    assert by_value(store, funnel, "device", MIDNIGHT + DAY)["tablet"] == 1


def test_late_events_of_the_day_before_do_not_change_a_choice(store: Client, funnel: FunnelDef) -> None:
    before = by_value(store, funnel, "sku", MIDNIGHT + DAY)
    at = (MIDNIGHT + 300) * 60_000
    late = [
        Event(project_id=funnel.project_id, message_id=f"late{number}", name="view_item", ts=at, received_at=at, visitor_id=f"late{number}",
              items=(Item(sku=f"sku{SKUS - 1}"),))
        for number in range(2 * SKUS)
    ]  # fmt: skip
    events.insert(store, late, f"cuts-late-{funnel.project_id}")
    roll_up(store, funnel, "", MIDNIGHT, MIDNIGHT + 2 * DAY)
    assert by_value(store, funnel, "sku", MIDNIGHT + DAY) == before


#: Of a thousand sessions: two systems, four regions spread over both, and a browser each system has to itself.
SYSTEMS, REGIONS, BROWSERS = ("iOS", "Android"), ("BE", "BY", "HH", "NW"), {"iOS": "Safari", "Android": "Chrome"}


def two_days(project_id: int) -> list[Event]:
    return [
        Event(project_id=project_id, message_id=f"{day}-{number}", name="view_item", ts=at, received_at=at, visitor_id=f"v{day}-{number}",
              os=SYSTEMS[number % 2], browser=BROWSERS[SYSTEMS[number % 2]], region=REGIONS[number // 2 % 4])
        for day in range(2) for number in range(1_000) for at in [(MIDNIGHT + day * DAY + number) * 60_000]
    ]  # fmt: skip


def test_a_pair_that_holds_many_sessions_in_cohorts_of_its_own_is_counted_from_the_next_day_on(store: Client, project_id: int) -> None:
    events.insert(store, two_days(project_id), f"pairs-{project_id}")
    made = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    roll_up(store, made, "", MIDNIGHT, MIDNIGHT + 2 * DAY)
    assert by_value(store, made, "os,region", MIDNIGHT) == {}
    assert by_value(store, made, "os,region", MIDNIGHT + DAY) == {f"{system}\x1f{region}": 125 for system in SYSTEMS for region in REGIONS}
    chosen, _ = cuts.of_day(store, project_id, MIDNIGHT + DAY + 7)
    assert chosen == [("os,region", 1000)], "each system's browser says what the system says"


def test_a_combination_people_ask_for_is_counted_from_the_next_midnight_and_not_in_the_middle_of_a_day(store: Client, project_id: int) -> None:
    events.insert(store, two_days(project_id), f"asked-{project_id}")
    made = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    roll_up(store, made, "", MIDNIGHT, MIDNIGHT + 60)
    asked = replace(made, combinations=(("os", "browser", "region"),))
    roll_up(store, asked, "", MIDNIGHT, MIDNIGHT + 2 * DAY)
    assert by_value(store, made, "os,browser,region", MIDNIGHT) == {}
    assert sum(by_value(store, made, "os,browser,region", MIDNIGHT + DAY).values()) == 1_000


values = st.sampled_from(["", "a", "b", "c"])


@given(st.lists(st.tuples(values, values), min_size=1, max_size=60))
def test_a_pair_contributes_the_sessions_of_its_large_cohorts_that_differ_from_both_wider_ones(rows: list[tuple[str, str]]) -> None:
    rows = rows * 10
    want = 0
    for cell in set(rows):
        wider = min(sum(row[0] == cell[0] for row in rows), sum(row[1] == cell[1] for row in rows))
        if all(cell) and rows.count(cell) >= cohorts.LEAST_CELL * len(rows) and rows.count(cell) <= cohorts.MOST_OF_WIDER * wider:
            want += rows.count(cell)
    columns = {name: np.array([row[place] for row in rows]) for place, name in enumerate(("os", "country"))}
    found = choose_pairs({name: np.tile(column, 60) for name, column in columns.items()}, [])
    share = want / len(rows)
    assert found == ([(("os", "country"), pytest.approx(share))] if share >= cohorts.LEAST_CONTRIBUTION else [])


def test_neither_a_usual_pair_nor_one_of_too_few_sessions_is_chosen() -> None:
    columns = {"device": np.tile(["mobile", "desktop"], 500), "country": np.repeat(["DE", "FR"], 500)}
    assert choose_pairs(columns, []) == [(("device", "country"), 1.0)]
    assert choose_pairs(columns, DEFAULT_PAIRS) == []
    assert choose_pairs({name: column[::4] for name, column in columns.items()}, []) == []


def test_a_pair_of_the_day_before_stays_a_while_below_the_floor_so_that_its_history_has_no_holes() -> None:
    own = np.arange(1_000) < 450  # the others have a country nobody knows
    columns = {"device": np.tile(["mobile", "desktop"], 500), "country": np.where(own, np.repeat(["DE", "FR"], 500)[np.arange(1_000) * 2 % 1_000], "")}
    assert choose_pairs(columns, []) == []
    assert [pair for pair, _ in choose_pairs(columns, [], [("device", "country")])] == [("device", "country")]


def test_what_is_counted_on_a_part_of_the_days_only_is_reported_for_all_of_them(store: Client, project_id: int) -> None:
    events.insert(store, two_days(project_id), f"part-{project_id}")
    made = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    roll_up(store, made, "", MIDNIGHT, MIDNIGHT + 2 * DAY)
    span = Span(made, MIDNIGHT, MIDNIGHT + 2 * DAY, MIDNIGHT + 3 * DAY)
    groups = funnels.report(store, span, ("os", "region"))["groups"]
    assert {group["steps"][0]["entered"] for group in groups} == {250}
    assert len(groups) == 8
