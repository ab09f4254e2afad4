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
    """An arrival (`name == ""`) or a noteworthy event of a session, or of a session's part that concerns one SKU."""

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
    dims: tuple[tuple[str, str], ...] = field(default=())


def points(events: Iterable[Event], funnel: FunnelDef, tie: Callable[[Event], int]) -> list[Point]:
    """All points of all sessions. `tie` orders events of the same millisecond, as the store does."""
    counted = {event.message_id: event for event in events if not event.bot and not event.test}
    everything = list(counted.values())
    first_seen = {actor(e): min(o.ts for o in everything if actor(o) == actor(e) and o.channel != "server") for e in everything
                  if any(actor(o) == actor(e) and o.channel != "server" for o in everything)}  # fmt: skip
    found: list[Point] = []
    for session in sessions(everything, tie):
        found += walk(session, session, funnel, "", "", everything, first_seen)
        telling = [e for e in session if is_moment(e, everything) or any(matches(e, step) for step in funnel.steps)]
        for sku in {item.sku for e in telling for item in e.items}:
            part = [e for e in session if not e.items or sku in {item.sku for item in e.items}]
            since = min(e.ts for e in telling if sku in {item.sku for item in e.items})
            found += [p for p in walk(session, part, funnel, "sku", sku, everything, first_seen) if p.at >= since]
    return found


def sessions(events: Sequence[Event], tie: Callable[[Event], int]) -> list[list[Event]]:
    """Events by (visitor, client's session id), else cut at pauses; a server's twin of a browser's order joins its session."""
    browser_order = {}
    for event in sorted(events, key=lambda e: (e.ts, e.message_id)):
        if event.name == "purchase" and event.channel != "server" and event.order_id:
            browser_order.setdefault(event.order_id, event)
    groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
    pending = []
    for event in events:
        twin = browser_order.get(event.order_id) if event.channel == "server" and event.order_id else None
        if twin is None and event.channel == "server" and not event.session_id:
            groups[actor(event), "#" + event.message_id].append(event)
        elif twin is not None:
            pending.append((event, twin))
        elif event.session_id:
            groups[actor(event), event.session_id].append(event)
    for visitor in {actor(event) for event in events}:
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
    session: list[Event], part: list[Event], funnel: FunnelDef, multi: str, value: str, everything: list[Event],
    first_seen: dict[str, int],
) -> list[Point]:  # fmt: skip
    """Greedy arrivals of one session (part) for each entry, and its noteworthy events."""
    visitor = min(actor(shopper(e, everything)) for e in session)
    in_funnel = [e for e in part if e.channel != "server" or e.session_id or shopper(e, everything) is not e]
    firsts = sorted({e.ts for e in in_funnel if matches(e, funnel.steps[0])})
    entries = [ts for i, ts in enumerate(firsts) if i == 0 or ts - firsts[i - 1] > REENTRY]
    found: list[Point] = []

    def point(step: int, name: str, at: int, known: int, prev: int, event: Event | None = None) -> Point:
        dims = dimensions(session, at, first_seen.get(visitor), visitor)
        order = "" if event is None else event.message_id if event.name == "purchase" and not event.order_id else event.order_id
        return Point(visitor, multi, value, step, name, at, known, prev, order, event.error_code if event else "",
                     (event.value or Decimal(0)) if event else Decimal(0), dims)  # fmt: skip

    reached: dict[int, list[int]] = {}
    for entry in entries:
        stops = [e.ts for e in in_funnel if any(matches(e, x) for x in funnel.exclusions) and e.ts >= entry]
        at, known, arrivals = entry, 0, []
        for step in funnel.steps:
            candidates = [e for e in in_funnel if matches(e, step) and e.ts >= at]
            if not candidates:
                break
            arrival = min(candidates, key=lambda e: (e.ts, received(e, everything)))
            if arrival.ts > entry + funnel.window_minutes * 60_000 or (stops and arrival.ts >= min(stops)):
                break
            previous, at = (at if arrivals else 0), arrival.ts
            known = max(known, received(arrival, everything))
            arrivals.append(at)
            found.append(point(len(arrivals), "", at, known, previous))
        reached[entry] = arrivals
    for event in part:
        if is_moment(event, everything):
            entry = max((e for e in entries if e <= event.ts), default=None)
            step = sum(at <= event.ts for at in reached[entry]) if entry is not None else 0
            found.append(point(step, event.name, event.ts, received(event, everything), 0, event))
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


def is_moment(event: Event, everything: list[Event]) -> bool:
    """Noteworthy, and of an order's purchase events the first one."""
    if event.name not in NOTEWORTHY and event.duration_ms is None:
        return False
    if event.name != "purchase" or not event.order_id:
        return True
    same = [e for e in everything if e.name == "purchase" and e.order_id == event.order_id]
    return min(same, key=lambda e: (e.ts, e.message_id)) is event


def shopper(event: Event, everything: list[Event]) -> Event:
    """The event whose visitor counts: for a server's order the browser's purchase of it."""
    if event.channel != "server" or not event.order_id:
        return event
    same = [e for e in everything if e.name == "purchase" and e.order_id == event.order_id and e.channel != "server"]
    return min(same, key=lambda e: (e.ts, e.message_id), default=event)


def received(event: Event, everything: list[Event]) -> int:
    """When we knew where the event belongs."""
    return max(event.received_at, shopper(event, everything).received_at if shopper(event, everything) is not event else 0)


def matches(event: Event, step: Step) -> bool:
    """By event name and column filters."""
    return event.name in step.events and all(
        (getattr(event, rule.property) in rule.values) != rule.negate for rule in step.filters
    )


def actor(event: Event) -> str:
    """Whose event it is."""
    return event.visitor_id or event.user_id
