"""Sets of many values are cut to their largest, from one midnight to the next; sessions are never lost by it."""

import sys

import pytest

from funnelwatch.core.events import Event, Item
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import cuts, events

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
