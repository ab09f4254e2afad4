"""What a roll-up is asked to make."""

from dataclasses import dataclass

from funnelwatch.core.funnel import FunnelDef


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows to make: minutes [from_minute, to_minute), knowing what was received by `as_of_ms` (None: everything).

    `shard` (i, n) restricts `insert` to every n-th visitor: how a long backfill bounds its memory.
    """

    funnel: FunnelDef
    run_id: str
    from_minute: int
    to_minute: int
    as_of_ms: int | None = None
    shard: tuple[int, int] = (0, 1)
