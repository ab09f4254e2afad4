"""Which events the live view is told about: a few a second of each project with notes of every step, and rejected ones first."""

from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from funnelwatch.core.events import Drop
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.intake import Notes
from funnelwatch.ingest.privacy import scrub_json, scrub_value

#: Noting costs three times a plain pass, and ten a second are more than an eye follows. But a developer who clicks through the shop
#: wants to see every message, and a page sends a dozen at once: what quiet seconds left over may be used in one.
_NOTED_A_SECOND, _NOTED_AT_ONCE = 10, 100
_DROPS_A_SECOND, _DROPS_AT_ONCE = 50, 100
_MOST_PATH = 200


class _Budget(Struct, gc=False):
    at: int
    noted: float = _NOTED_AT_ONCE
    drops: float = _DROPS_AT_ONCE


class Sampler:
    """A budget for each project."""

    def __init__(self) -> None:
        self._budgets: dict[int, _Budget] = {}

    def grant(self, project_id: int, count: int, now_ms: int) -> tuple[int, int]:
        """How many of `count` messages may be read with notes, and how many rejected ones outside these may be shown too."""
        budget = self._budget(project_id, now_ms)
        noted = min(count, int(budget.noted))
        budget.noted -= noted
        return noted, min(count - noted, max(0, int(budget.drops)))

    def shown(self, project_id: int, rejected: int) -> None:
        """So many rejected messages outside the sample were shown."""
        self._budgets[project_id].drops -= rejected

    def grant_refusal(self, project_id: int, now_ms: int) -> bool:
        """Whether a refused request may be shown; it counts as a rejected message."""
        budget = self._budget(project_id, now_ms)
        if budget.drops < 1:
            return False
        budget.drops -= 1
        return True

    def _budget(self, project_id: int, now_ms: int) -> _Budget:
        budget = self._budgets.get(project_id)
        if budget is None:
            budget = self._budgets[project_id] = _Budget(now_ms)
        elif now_ms > budget.at:
            seconds = (now_ms - budget.at) / 1000
            budget.noted = min(_NOTED_AT_ONCE, budget.noted + seconds * _NOTED_A_SECOND)
            budget.drops = min(_DROPS_AT_ONCE, budget.drops + seconds * _DROPS_A_SECOND)
            budget.at = now_ms
        return budget


def row(made: Any, notes: Notes, arrival: Arrival) -> dict[str, Any]:
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
    # The notes tell of steps before the last one, which scrubs. Properties are JSON in a text, there an address begins anywhere.
    for changed in (note["set"] for note in notes if "properties" in note.get("set", ())):
        changed["properties"] = scrub_json(changed["properties"])
    return _scrubbed(row)


def refusal_row(project_id: int, now_ms: int, path: str, refusal: Refusal) -> dict[str, Any]:
    """A row of the live view for a request of which nothing was taken."""
    return _scrubbed({
        "project_id": project_id,
        "at": now_ms,
        "message_id": f"refused-{uuid4().hex}",
        "name": path[:_MOST_PATH],
        "outcome": refusal.code,
        "notes": [{"step": "request", "dropped": refusal.code, "why": refusal.message}],
        "scrubbed": {},
    })  # fmt: skip


def _scrubbed(row: dict[str, Any]) -> dict[str, Any]:
    return scrub_value(msgspec.to_builtins(row))


def _shown(draft: Any) -> dict[str, Any]:
    """The stored fields that hold something."""
    return {name: value for name, value in msgspec.structs.asdict(draft).items() if value not in ("", None, (), "{}", False)}
