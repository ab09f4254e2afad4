"""Which events the live view is told about: a few a second of each project with notes of every step, and rejected ones first."""

from typing import Any

import msgspec
from msgspec import Struct

from funnelwatch.core.events import Drop
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.intake import Notes
from funnelwatch.ingest.privacy import scrub

_NOTED_A_SECOND = 10  # noting costs three times a plain pass; ten a second are more than an eye follows
_DROPS_A_SECOND = 50


class _Second(Struct, gc=False):
    second: int
    noted: int = 0
    drops: int = 0


class Sampler:
    """Budgets by project and second."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}

    def grant(self, project_id: int, count: int, now_ms: int) -> int:
        """How many of `count` messages may be read with notes."""
        budget = self._budget(project_id, now_ms)
        granted = min(count, _NOTED_A_SECOND - budget.noted)
        budget.noted += granted
        return granted

    def grant_drop(self, project_id: int, now_ms: int) -> bool:
        """Whether a rejected message outside the sample may be shown too."""
        budget = self._budget(project_id, now_ms)
        budget.drops += 1
        return budget.drops <= _DROPS_A_SECOND

    def row(self, made: Any, notes: Notes, arrival: Arrival) -> dict[str, Any]:
        """A row of the live view."""
        dropped = made.__class__ is Drop
        if dropped and made.detail:
            notes = [*notes, {"step": "validate", "dropped": made.reason, "why": made.detail}]
        row = {
            "project_id": arrival.key.project_id,
            "at": arrival.now,
            "message_id": made.message_id,
            "name": made.name,
            "outcome": made.reason if dropped else "accepted",
            "notes": notes,
            "scrubbed": {} if dropped else _shown(made),
        }
        # The notes tell of steps before the last one, which scrubs.
        return msgspec.json.decode(scrub(msgspec.json.encode(row).decode()))

    def _budget(self, project_id: int, now_ms: int) -> _Second:
        second = now_ms // 1000
        budget = self._seconds.get(project_id)
        if budget is None or budget.second != second:
            budget = self._seconds[project_id] = _Second(second)
        return budget


def _shown(draft: Any) -> dict[str, Any]:
    """The stored fields that hold something."""
    return {name: value for name, value in msgspec.structs.asdict(draft).items() if value not in ("", None, (), "{}", False)}
