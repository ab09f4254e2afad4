"""Roll minutes up: sessions reconstructed, cohorts counted, the result committed under one version.

Two times are kept for every number, when it happened (`minute`) and how much later it was known (`lag`), and a version for every
run. Happened and known make one table serve the live watch, a replay that may only see what had arrived by then, and the curve of how
late a shop's events arrive; the version makes any run repeatable. Leaf rows (`journey`) are kept beside the cohort sums, so
that diagnosis and reports count from the same arrivals as the detector.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from funnelwatch.core.funnel import FunnelDef
from funnelwatch.rollup.cohorts import CANDIDATES, DEFAULT_SETS, LEAST_SHARE, NAMED_VALUES, DimensionSet, choose_pairs
from funnelwatch.store.client import Client
from funnelwatch.store.queries import cuts, dirty, journey, rollup_writes, sweep
from funnelwatch.store.queries.dirty import Dirty, Mark
from funnelwatch.store.scope import Scope

#: Events whose sessions are in memory at once, which then takes about a gigabyte.
PART_EVENTS = 300_000
#: Sessions of a day that pairs are chosen by: their shares are right to a hundredth.
SAMPLE_SESSIONS = 5_000


@dataclass(frozen=True, slots=True)
class RollupStats:
    """What a roll-up did."""

    minutes: int
    versions: int
    seconds: float


def roll_up(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_minute: int,
    to_minute: int,
    as_of_ms: int | None = None,
    dimension_sets: Sequence[DimensionSet] = DEFAULT_SETS,
) -> RollupStats:
    """Roll up the minutes [from_minute, to_minute), knowing what was received by `as_of_ms` (None: all there is).

    Running it again, or twice at once, changes no number. Raises StoreError, StoreUnavailable; then nothing has changed.
    """
    started = time.perf_counter()
    chunks = _days(from_minute, to_minute)
    for start, end in chunks:
        scope = Scope(funnel, run_id, start, end, as_of_ms)
        sets = [*dimension_sets, *_chosen_sets(client, scope, dimension_sets)]
        _roll_up_chunk(client, scope, sets)
    return RollupStats(max(0, to_minute - from_minute), len(chunks), time.perf_counter() - started)


def _days(from_minute: int, to_minute: int) -> list[tuple[int, int]]:
    """Pieces that each lie in one day (UTC): a day reads each event little more than once, and has one choice of cohorts."""
    edges = [from_minute, *range((from_minute // cuts.DAY + 1) * cuts.DAY, to_minute, cuts.DAY), to_minute]
    return [(start, end) for start, end in pairwise(edges) if start < end]


def _chosen_sets(client: Client, scope: Scope, usual: Sequence[DimensionSet]) -> list[DimensionSet]:
    """What the scope's day is cut by besides the usual sets, chosen the first time one of its minutes is rolled up."""
    found = cuts.chosen(client, scope)
    if found is None:
        midnight = scope.from_minute // cuts.DAY * cuts.DAY
        before = replace(scope, from_minute=midnight - cuts.DAY, to_minute=midnight)
        asked = {dims: 1.0 for dims in scope.funnel.combinations if dims not in usual}
        sample = cuts.sample(client, before, CANDIDATES, SAMPLE_SESSIONS)
        extra = asked | dict(choose_pairs(sample, [*usual, *asked], cuts.chosen(client, before) or ()))
        cuts.choose(client, before, [*usual, *extra], extra, NAMED_VALUES, LEAST_SHARE)
        found = list(extra)
    return found


def _roll_up_chunk(client: Client, scope: Scope, sets: Sequence[DimensionSet]) -> None:
    version = rollup_writes.new_version()
    multi = {rollup_writes.multi_of(dims) for dims in sets} - {""}
    parts = parts_of(client, scope)
    for shard in range(parts):
        journey.insert(client, replace(scope, shard=(shard, parts)), version, sorted(multi))
    for part in _slices(scope, parts):
        rollup_writes.insert_arrivals(client, part, version, sets)
        rollup_writes.insert_events(client, part, version, sets)
        rollup_writes.insert_endpoints(client, part, version)
    rollup_writes.commit(client, scope, version)


def parts_of(client: Client, scope: Scope) -> int:
    """Pieces by visitor that a scope is worked on in, so that memory does not grow with its traffic."""
    return max(1, -(-journey.size(client, scope) // PART_EVENTS))


def _slices(scope: Scope, parts: int) -> list[Scope]:
    """The scope's minutes in at most `parts` pieces: sums are by the minute, so they are independent."""
    step = -(-(scope.to_minute - scope.from_minute) // parts)
    return [
        replace(scope, from_minute=start, to_minute=min(start + step, scope.to_minute))
        for start in range(scope.from_minute, scope.to_minute, step)
    ]


def dirty_minutes(client: Client, project_id: int, mark: Mark, across_devices: bool = False) -> Dirty:
    """The minutes events stored since `mark` may have changed (`across_devices`: in funnels counted by visitor too), and the next mark."""
    return dirty.minutes(client, project_id, mark, across_devices)


def prune(client: Client, project_id: int) -> int:
    """Take out what replaced versions left behind, an hour after; returns the minutes swept. Meant to be called hourly."""
    return sweep.prune(client, project_id)


def forget_run(client: Client, project_id: int, run_id: str) -> None:
    """Drop a replay's roll-ups before it is made again. Raises ValueError for the live ones ("")."""
    sweep.forget_run(client, project_id, run_id)


def ranges(minutes: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending minutes as [from, to) ranges."""
    found: list[tuple[int, int]] = []
    for minute in minutes:
        if found and found[-1][1] == minute:
            found[-1] = (found[-1][0], minute + 1)
        else:
            found.append((minute, minute + 1))
    return found
