"""Made-up histories full of awkward cases, and how the store's numbers are compared with the reference."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from funnelwatch.core.events import Event, Item
from funnelwatch.core.funnel import FunnelDef, PropertyFilter, Step
from funnelwatch.core.vocabulary import SESSION_DIMENSIONS, STEP_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events as event_queries
from tests.rollup import reference
from tests.rollup.reference import Point

MINUTE = 60_000
#: 2026-10-25 00:00 UTC: Berlin puts its clocks back an hour later, and New York's day ends four hours on.
MIDNIGHT = 1_792_886_400_000
FIRST = MIDNIGHT // MINUTE - 200
LAST = MIDNIGHT // MINUTE + 200

STEPS = (
    Step("view", ("page_view", "view_item")),
    Step("cart", ("add_to_cart",)),
    Step("pay", ("add_payment_info",), (PropertyFilter("payment_provider", ("broken",), negate=True),)),
    Step("purchase", ("purchase",)),
)
ids = itertools.count(100_000)
Deeds = Sequence[tuple[int, str]]


def a_funnel(project_id: int) -> FunnelDef:
    return FunnelDef(1, project_id, "storefront", 1, STEPS, exclusions=(Step("gave up", ("remove_from_cart",)),))


def a_history(project_id: int, seed: int, visitors: int) -> list[Event]:
    """Short visits on edges: ties, window ends, pauses of just 30 minutes, lateness, duplicates, twins, missing session ids."""
    dice = random.Random(seed)
    history: list[Event] = []
    for number in range(visitors):
        visitor = f"visitor{number}"
        start = MIDNIGHT + dice.randrange(-150, -50) * MINUTE + dice.choice([0, 1, 59_999, 30_000])
        clock = start
        for index in range(dice.randrange(1, 12)):
            clock += dice.choice([0, 0, 1, 1_000, MINUTE, 5 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 20 * MINUTE])
            ts = dice.choice([clock, clock, clock, start, start + 60 * MINUTE, start + 60 * MINUTE + 1])
            if ts > start + 230 * MINUTE:
                break
            history.append(an_event(dice, project_id, visitor, f"{seed}-{number}-{index}", ts))
    return history


def a_session(project_id: int, name: str, minute: int, deeds: Deeds, **fields: Any) -> list[Event]:
    """Events `(seconds from its start, name)`; "payment_failed/declined" has an error code."""
    made = []
    for number, (second, deed) in enumerate(deeds):
        event, _, code = deed.partition("/")
        ts = minute * 60_000 + second * 1_000
        made.append(Event(project_id=project_id, message_id=f"{name}-{number}", name=event, error_code=code, ts=ts, received_at=ts,
                          **{"visitor_id": name, "session_id": f"session of {name}", **fields}))  # fmt: skip
    return made


def an_event(dice: random.Random, project_id: int, visitor: str, message_id: str, ts: int) -> Event:
    name = dice.choice(["page_view", "view_item", "add_to_cart", "add_payment_info", "purchase", "purchase", "payment_failed",
                        "remove_from_cart", "search", "refund"])  # fmt: skip
    server = name == "purchase" and dice.random() < 0.4
    skus = dice.sample(["red", "blue", "green"], dice.randrange(0, 3))
    return Event(
        project_id=project_id, message_id=message_id, name=name, ts=ts,
        received_at=ts + dice.choice([0, 5, 59_000, 2 * MINUTE, 90 * MINUTE]),
        visitor_id="" if server and dice.random() < 0.5 else visitor,
        user_id=dice.choice(["", "", "", f"user{visitor[-1]}"]), variants=dice.choice([(), (), ("price:a",), ("price:b", "nav:new")]),
        category=dice.choice(["", "", "sale", "hats"]),
        session_id=dice.choice(["", "", "one", "one", "two"]),
        channel="server" if server else "browser",
        bot=dice.random() < 0.03, test=dice.random() < 0.03,
        device=dice.choice(["", "mobile", "mobile", "desktop"]), os=dice.choice(["", "iOS", "Android"]),
        browser=dice.choice(["", "Safari", "Chrome"]), country=dice.choice(["", "DE", "IN"]),
        campaign=dice.choice(["", "", "ig_sale"]), page_path=dice.choice(["", "/", "/sale"]),
        payment_provider=dice.choice(["", "", "stripe", "paypal", "broken"]), currency=dice.choice(["", "EUR"]),
        error_code="declined" if name == "payment_failed" else "",
        value=Decimal(dice.randrange(1, 9999)) / 100 if name in ("purchase", "refund") and dice.random() < 0.9 else None,
        order_id=f"{visitor}-{dice.randrange(3)}" if name == "purchase" and dice.random() < 0.9 else "",
        items=tuple(Item(sku=sku, category={"red": "hats", "blue": "mugs"}.get(sku, ""), quantity=dice.choice([1, 2, 3, -1])) for sku in skus),
        duration_ms=12.5 if name == "search" and dice.random() < 0.5 else None,
    )  # fmt: skip


def expected(store: Client, history: list[Event], funnel: FunnelDef, first: int = FIRST, last: int = LAST) -> Counter[Point]:
    ties = dict(store.query(
        "SELECT message_id, cityHash64(message_id) % 65536 FROM events WHERE project_id = {project:UInt32}",
        {"project": funnel.project_id},
    ))  # fmt: skip
    found = reference.points(history, funnel, lambda event: ties[event.message_id])
    return Counter(point for point in found if first <= point.at // MINUTE < last)


def stored(store: Client, funnel: FunnelDef, run_id: str = "") -> Counter[Point]:
    names = (*SESSION_DIMENSIONS, *STEP_DIMENSIONS)
    rows = store.query(
        f"""
        SELECT visitor_id, multi, multi_value, step, name, toUnixTimestamp64Milli(at), toUnixTimestamp64Milli(known_at),
            toUnixTimestamp64Milli(prev_at), order_id, error_code, value, units, {", ".join(names)}
        FROM journey
        WHERE project_id = {{project:UInt32}} AND run_id = {{run:String}}
          AND (minute, version) IN (
            SELECT minute, max(version) FROM rollup_minutes
            WHERE project_id = {{project:UInt32}} AND run_id = {{run:String}} GROUP BY minute)
        """,
        {"project": funnel.project_id, "run": run_id},
    )
    return Counter(Point(*row[:12], dims=tuple(sorted(zip(names, row[12:], strict=True)))) for row in rows)


def insert_twice(store: Client, history: list[Event], seed: int) -> None:
    """In two blocks, out of order, some of it again in a third."""
    shuffled = random.Random(seed).sample(history, len(history))
    half = len(shuffled) // 2
    for number, block in enumerate((shuffled[:half], shuffled[half:], shuffled[::5])):
        event_queries.insert(store, block, f"{history[0].project_id}-{number}")


def assert_same(got: Counter[Point], want: Counter[Point], history: list[Event]) -> None:
    """Equal, or the story of the first visitor that differs."""
    if got == want:
        return
    missing, surplus = want - got, got - want
    visitor = next(iter(missing or surplus)).visitor
    lines = [f"{e.ts - MIDNIGHT:>10} {e.message_id} {e.name} {e.channel} session={e.session_id!r} order={e.order_id!r} "
             f"{[i.sku for i in e.items]} bot={e.bot} test={e.test} {e.payment_provider}"
             for e in sorted(history, key=lambda e: e.ts) if visitor in (e.visitor_id, e.order_id.split("-")[0])]  # fmt: skip
    brief = [f"{sign} {p.multi_value} step={p.step} {p.name} at={p.at - MIDNIGHT} known={p.known_at - MIDNIGHT} prev={p.prev_at}"
             f" {p.order_id} {p.value} {[d for d in p.dims if d[1]]}"
             for sign, some in (("missing", missing), ("surplus", surplus)) for p in some if p.visitor == visitor]  # fmt: skip
    pytest.fail(f"{len(missing)} missing, {len(surplus)} surplus points\n" + "\n".join([visitor, *lines, *brief]))
