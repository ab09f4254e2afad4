"""What the roll-up should say, restated as plainly as possible over a list of events: slow, and right by inspection."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, Step
from funnelwatch.core.vocabulary import ERROR_EVENTS, SESSION_DIMENSIONS, STEP_DIMENSIONS

GAP = 30 * 60_000
REENTRY = 240 * 60_000
NOTEWORTHY = {*ERROR_EVENTS, "purchase", "refund"}


@dataclass(frozen=True)
class Point:
    """An arrival (`name == ""`) or a noteworthy event of a session, or of a session's part that concerns one value (a SKU, say)."""

    visitor: str
    multi: str
    multi_value: str
    step: int
    name: str
    at: int
    known_at: int
    prev_at: int
    order_id: str = ""
    error_code: str = ""
    value: Decimal = Decimal(0)
    units: int = 0
    dims: tuple[tuple[str, str], ...] = field(default=())


def points(events: Iterable[Event], funnel: FunnelDef, tie: Callable[[Event], int]) -> list[Point]:
    """All points of all sessions. `tie` orders events of the same millisecond, as the store does."""
    counted = {event.message_id: event for event in events if not event.bot and not event.test}
    everything = list(counted.values())
    first_seen: dict[str, int] = {}
    for event in everything:
        if event.channel != "server":
            first_seen[actor(event)] = min(event.ts, first_seen.get(actor(event), event.ts))
    orders = Orders.of(everything)
    found: list[Point] = []
    for session in sessions(everything, orders, tie, funnel.count_by == "visitor"):
        found += walk(session, session, funnel, "", "", orders, first_seen)
        telling = [e for e in session if is_moment(e, orders) or any(matches(e, step) for step in funnel.steps)]
        for multi, values in VALUES.items():
            for value in {value for e in telling for value in values(e)}:
                part = [e for e in session if not values(e) or value in values(e)]
                since = min(e.ts for e in telling if value in values(e))
                found += [p for p in walk(session, part, funnel, multi, value, orders, first_seen) if p.at >= since]
    return found


#: What an event carries of each multi-valued dimension.
VALUES: dict[str, Callable[[Event], set[str]]] = {
    "sku": lambda event: {item.sku for item in event.items},
    "category": lambda event: {name for name in (event.category, *(item.category for item in event.items)) if name},
    "variant": lambda event: set(event.variants),
}


@dataclass(frozen=True)
class Orders:
    """An order's first purchase event, and the first that came from a browser."""

    first: dict[str, Event]
    browser: dict[str, Event]

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Orders":
        made = cls({}, {})
        for event in sorted(events, key=lambda e: (e.ts, e.message_id)):
            if event.name == "purchase" and event.order_id:
                made.first.setdefault(event.order_id, event)
                if event.channel != "server":
                    made.browser.setdefault(event.order_id, event)
        return made


def sessions(events: Sequence[Event], orders: Orders, tie: Callable[[Event], int], by_visitor: bool) -> list[list[Event]]:
    """Events by (visitor, client's session id), else cut at pauses; a server's twin of a browser's order joins its session.

    By visitor there is one for each owner: the user once identified, not for what came before.
    """
    groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
    pending = []
    for event in events:
        twin = orders.browser.get(event.order_id) if event.channel == "server" and event.order_id else None
        if twin is None and event.channel == "server" and not event.session_id:
            groups[actor(event), "#" + event.message_id].append(event)
        elif twin is not None:
            pending.append((event, twin))
        elif by_visitor:
            groups[owner(event), ""].append(event)
        elif event.session_id:
            groups[actor(event), event.session_id].append(event)
    for visitor in {actor(event) for event in events} if not by_visitor else ():
        loose = sorted((e for e in events if actor(e) == visitor and not e.session_id and e.channel != "server"), key=lambda e: e.ts)
        for before, event in zip([None, *loose], loose, strict=False):
            if before is None or event.ts - before.ts > GAP:
                start = event.ts
            groups[visitor, f"@{start}"].append(event)
    for event, twin in pending:
        group = next(group for group in groups.values() if twin in group)
        group.append(event)
    return [sorted(group, key=lambda e: (e.ts, tie(e))) for group in groups.values()]


def walk(
    session: list[Event], part: list[Event], funnel: FunnelDef, multi: str, value: str, orders: Orders,
    first_seen: dict[str, int],
) -> list[Point]:  # fmt: skip
    """Greedy arrivals of one session (part) for each entry, and its noteworthy events."""
    by_visitor = funnel.count_by == "visitor"
    visitor = actor(shopper(session[0], orders))
    told = min(owner(shopper(e, orders)) for e in session) if by_visitor else visitor
    in_funnel = [e for e in part if e.channel != "server" or e.session_id or shopper(e, orders) is not e]
    firsts = sorted({e.ts for e in in_funnel if matches(e, funnel.steps[0])})
    entries = [ts for i, ts in enumerate(firsts) if i == 0 or ts - firsts[i - 1] > REENTRY]
    found: list[Point] = []

    def point(step: int, name: str, at: int, known: int, prev: int, event: Event | None = None) -> Point:
        dims = dimensions(session, at, first_seen.get(visitor), visitor)
        order = "" if event is None else event.message_id if event.name == "purchase" and not event.order_id else event.order_id
        return Point(told, multi, value, step, name, at, known, prev, order, event.error_code if event else "",
                     (event.value or Decimal(0)) if event else Decimal(0), sum(max(item.quantity, 0) for item in event.items) if event else 0, dims)  # fmt: skip

    reached: dict[int, list[int]] = {}
    for entry in entries:
        stops = [e.ts for e in in_funnel if any(matches(e, x) for x in funnel.exclusions) and e.ts >= entry]
        at, known, arrivals = entry, 0, []
        for step in funnel.steps:
            candidates = [e for e in in_funnel if matches(e, step) and e.ts >= at]
            if not candidates:
                break
            arrival = min(candidates, key=lambda e: (e.ts, received(e, orders)))
            if arrival.ts > entry + funnel.window_minutes * 60_000 or (stops and arrival.ts >= min(stops)):
                break
            previous, at = (at if arrivals else 0), arrival.ts
            known = max(known, received(arrival, orders))
            arrivals.append(at)
            found.append(point(len(arrivals), "", at, known, previous))
        reached[entry] = arrivals
    for event in part:
        if is_moment(event, orders):
            entry = max((e for e in entries if e <= event.ts), default=None)
            step = sum(at <= event.ts for at in reached[entry]) if entry is not None else 0
            found.append(point(step, event.name, event.ts, received(event, orders), 0, event))
    return found


def dimensions(session: list[Event], at: int, first_seen: int | None, visitor: str) -> tuple[tuple[str, str], ...]:
    """What was known of the session by `at`: the first value of a session dimension, the last of a step dimension."""
    past = [e for e in session if e.ts <= at]
    values = {}
    for name in SESSION_DIMENSIONS:
        column = "page_path" if name == "landing_page" else name
        if name != "new_or_returning":
            values[name] = next((getattr(e, column) for e in past if getattr(e, column)), "")
    values["new_or_returning"] = "" if first_seen is None else "returning" if first_seen < session[0].ts else "new"
    for name in STEP_DIMENSIONS:
        values[name] = next((getattr(e, name) for e in reversed(past) if getattr(e, name)), "")
    return tuple(sorted(values.items()))


def is_moment(event: Event, orders: Orders) -> bool:
    """Noteworthy, and of an order's purchase events the first one."""
    if event.name not in NOTEWORTHY and event.duration_ms is None:
        return False
    return event.name != "purchase" or not event.order_id or orders.first[event.order_id] is event


def shopper(event: Event, orders: Orders) -> Event:
    """The event whose visitor counts: for a server's order the browser's purchase of it."""
    return orders.browser.get(event.order_id, event) if event.channel == "server" and event.order_id else event


def received(event: Event, orders: Orders) -> int:
    """When we knew where the event belongs."""
    return max(event.received_at, shopper(event, orders).received_at)


def matches(event: Event, step: Step) -> bool:
    """By event name and column filters."""
    return event.name in step.events and all(
        (getattr(event, rule.property) in rule.values) != rule.negate for rule in step.filters
    )


def actor(event: Event) -> str:
    """Whose event it is."""
    return event.visitor_id or event.user_id


def owner(event: Event) -> str:
    """Who is counted where visitors are."""
    return event.user_id or event.visitor_id
