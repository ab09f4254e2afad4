"""What a funnel would have counted, by the very rules of the roll-up, with nothing stored."""

from collections import Counter
from dataclasses import dataclass, replace

from funnelwatch.core.funnel import FunnelDef
from funnelwatch.rollup.roll_up import parts_of
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels, journey, names
from funnelwatch.store.queries.funnels import StepCount
from funnelwatch.store.scope import Scope

DAY_MINUTES = 1_440


@dataclass(frozen=True, slots=True)
class Preview:
    """Steps of a funnel over the epoch minutes [from_minute, to_minute), as a report of those minutes would have them.

    `matched` and `excluding` are the events that match each step and each exclusion at all, in any order: 0 shows a wrong name.
    """

    from_minute: int
    to_minute: int
    steps: tuple[StepCount, ...]
    matched: tuple[int, ...]
    excluding: tuple[int, ...]


def preview(client: Client, funnel: FunnelDef, now_ms: int) -> Preview | None:
    """The day up to the project's newest event (not after `now_ms`); None where there is no event. Raises StoreError, StoreUnavailable."""
    newest = names.newest(client, funnel.project_id, now_ms)
    if newest is None:
        return None
    end = newest // 60_000 + 1
    scope = Scope(funnel, "", end - DAY_MINUTES, end)
    arrived: Counter[int] = Counter()
    went_on: Counter[int] = Counter()
    parts = parts_of(client, scope)
    for shard in range(parts):
        for step, (count, within) in journey.arrivals(client, replace(scope, shard=(shard, parts))).items():
            arrived[step] += count
            went_on[step] += within
    counts = {step: (arrived[step], went_on[step]) for step in arrived}
    matched = journey.matched(client, scope)
    size = len(funnel.steps)
    return Preview(scope.from_minute, end, funnels.steps_of(funnel, counts, {}), matched[:size], matched[size:])
