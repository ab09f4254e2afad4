"""What every question about a funnel is asked of: some minutes, as they were known at a time."""

from dataclasses import dataclass
from typing import Any

from funnelwatch.core.funnel import FunnelDef
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, parameters
from funnelwatch.store.scope import Scope

OF_SPAN = f"{OF_FUNNEL} AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED}"
#: Of an arrival's row: its trial, the arrival at the step before, lies in the span.
TRIAL_IN_SPAN = "minute - delay >= {from:UInt32} AND minute - delay < {end:UInt32}"


@dataclass(frozen=True, slots=True)
class Span:
    """The question's frame: minutes [from_minute, to_minute) as known once `elapsed` (0 to 1) of `as_of_minute` is over."""

    funnel: FunnelDef
    from_minute: int
    to_minute: int
    as_of_minute: int
    run_id: str = ""
    elapsed: float = 1.0

    def scope(self) -> Scope:
        """The roll-up minutes to read: conversions lie up to a window after their trials."""
        end = min(self.to_minute + self.funnel.window_minutes + 1, self.as_of_minute + 1)
        return Scope(self.funnel, self.run_id, self.from_minute, max(end, self.from_minute))

    def parameters(self) -> dict[str, Any]:
        """Of `OF_SPAN`."""
        return {**parameters(self.scope()), "end": self.to_minute, "as_of": self.as_of_minute}
