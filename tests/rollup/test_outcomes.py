"""What came of the sessions, against the brute-force reference, and on an order book small enough to add up by hand."""

from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.events import Event, Item
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.core.vocabulary import ERROR_EVENTS
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events, outcomes
from funnelwatch.store.queries.span import Span
from tests.rollup.histories import FIRST, LAST, MINUTE, expected
from tests.rollup.reference import Point

START = 1_793_203_200 // 60


@pytest.fixture(scope="module")
def points(store: Client, shop: tuple[FunnelDef, list[Event]]) -> list[Point]:
    funnel, history = shop
    return [point for point in expected(store, history, funnel).elements() if not point.multi]


@pytest.mark.parametrize("cohort", [EVERYONE, Cohort.of([("device", "mobile"), ("device", "desktop")])], ids=Cohort.label)
def test_orders_money_and_trouble_equal_the_reference(
    store: Client, shop: tuple[FunnelDef, list[Event]], points: list[Point], cohort: Cohort
) -> None:
    span = Span(shop[0], FIRST + 60, FIRST + 220, LAST)
    names = ["", *(step.name for step in span.funnel.steps)]
    mine = [
        p for p in points if span.from_minute <= p.at // MINUTE < span.to_minute and p.known_at // MINUTE <= LAST
        and all(dict(p.dims)[name] in cohort.values(name) for name in cohort.dimensions)
    ]  # fmt: skip
    bought: dict[str, list[Point]] = defaultdict(list)
    for point in mine:
        if point.name in ("purchase", "refund"):
            bought[dict(point.dims)["currency"]].append(point)
    began = sum(p.step == 1 and not p.name for p in mine)
    found = {row["currency"]: row for row in outcomes.orders(store, span, cohort)}
    assert found.keys() == bought.keys() == {"", "EUR"}
    for currency, of_currency in bought.items():
        orders, refunds = ([p for p in of_currency if p.name == name] for name in ("purchase", "refund"))
        revenue = sum((p.value for p in orders), Decimal(0))
        row = found[currency]
        assert (row["orders"], row["units"], row["revenue"]) == (len({p.order_id for p in orders}), sum(p.units for p in orders), revenue)
        assert row["average"] == (revenue / row["orders"]).quantize(Decimal("0.0001"))
        assert row["per_session"] == (revenue / began).quantize(Decimal("0.0001"))
        assert (row["refunds"], row["refunded"]) == (len(refunds), sum((p.value for p in refunds), Decimal(0)))
        by_step = Counter(names[p.step] for p in orders)
        assert {step["step"]: step["orders"] for step in row["steps"]} == by_step
        assert sum(step["revenue"] for step in row["steps"]) == revenue
    want = Counter((names[p.step], p.name, p.error_code) for p in mine if p.name in ERROR_EVENTS)
    assert {(row["step"], row["event"], row["error_code"]): row["events"] for row in outcomes.trouble(store, span, cohort)} == want
    assert len(want) > 1


def test_currencies_stand_apart_and_an_order_sent_twice_counts_once(store: Client, project_id: int) -> None:
    def sent(number: int, name: str, second: int, device: str, **fields: object) -> Event:
        ts = (START + number) * 60_000 + second * 1_000
        return Event(project_id=project_id, message_id=f"{number}-{name}-{second}", name=name, ts=ts, received_at=ts, visitor_id=f"v{number}",
                     session_id="s", device=device, **fields)  # type: ignore[arg-type]  # fmt: skip

    made = []
    for number, (device, currency, value) in enumerate([("mobile", "EUR", "10.10"), ("mobile", "EUR", "20.25"), ("desktop", "JPY", "3000"), ("desktop", "EUR", "1.05")]):
        money = {"currency": currency, "value": Decimal(value), "order_id": f"order{number}", "items": (Item(sku="hat", quantity=2),)}
        made += [sent(number, "view_item", 0, device), sent(number, "payment_failed", 5, device, error_code="declined" if number else "3ds")]
        made += [sent(number, "purchase", 10, device, **money), sent(number, "purchase", 70, device, **money)]
    made += [sent(9, "view_item", 0, "mobile"), sent(9, "out_of_stock", 3, "mobile"), sent(9, "refund", 9, "mobile", currency="EUR", value=Decimal("4.40"))]
    events.insert(store, made, f"outcomes-{project_id}")
    funnel = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    for _ in range(2):  # rolled up again it says the same
        roll_up(store, funnel, "", START, START + 60)
    span = Span(funnel, START, START + 60, START + 600)
    assert outcomes.orders(store, span) == [
        {"currency": "EUR", "orders": 3, "units": 6, "revenue": Decimal("31.40"), "average": Decimal("10.4667"), "per_session": Decimal("6.2800"), "refunds": 1, "refunded": Decimal("4.40"),
         "steps": [{"step": "purchase", "orders": 3, "units": 6, "revenue": Decimal("31.40")}]},
        {"currency": "JPY", "orders": 1, "units": 2, "revenue": Decimal(3000), "average": Decimal(3000), "per_session": Decimal(600), "refunds": 0, "refunded": Decimal(0),
         "steps": [{"step": "purchase", "orders": 1, "units": 2, "revenue": Decimal(3000)}]},
    ]  # fmt: skip
    assert [(row["currency"], row["orders"], row["revenue"]) for row in outcomes.orders(store, span, Cohort.of({"device": "mobile"}))] == [("EUR", 2, Decimal("30.35"))]
    assert outcomes.trouble(store, span) == [
        {"step": "view_item", "event": "payment_failed", "error_code": "declined", "events": 3},
        {"step": "view_item", "event": "out_of_stock", "error_code": "", "events": 1},
        {"step": "view_item", "event": "payment_failed", "error_code": "3ds", "events": 1},
    ]
