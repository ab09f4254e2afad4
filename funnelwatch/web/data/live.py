"""The live view: the last messages as they came, what each step did to them, and why some were refused."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from funnelwatch.core import clock
from funnelwatch.core.vocabulary import DROP_REASONS
from funnelwatch.projects.models import Project
from funnelwatch.store.queries import recent
from funnelwatch.web import words
from funnelwatch.web.data import stored

LIMIT = 50
READ = 500  # filters look through this many of the last messages


@dataclass(frozen=True, slots=True)
class Filters:
    """The query string, unknown values dropped."""

    outcome: str = ""
    name: str = ""

    @classmethod
    def of(cls, params: QueryDict) -> "Filters":
        outcome = params.get("outcome", "")
        return cls(outcome if outcome in ("accepted", "rejected", *DROP_REASONS) else "", params.get("name", "").strip()[:100])

    def keeps(self, row: dict[str, Any]) -> bool:
        """Whether a message is to be shown."""
        if self.outcome == "rejected" and row["outcome"] == "accepted":
            return False
        if self.outcome not in ("", "rejected", row["outcome"]):
            return False
        return not self.name or self.name.lower() in row["name"].lower()


def context(project: Project, filters: Filters) -> dict[str, Any]:
    """Template context of the page; `rows` is None while the event store is away."""
    found = stored.ask(lambda: recent.latest(stored.client(), project.pk, READ if filters != Filters() else LIMIT))
    rows = None if found is None else [_row(row) for row in found if filters.keeps(row)][:LIMIT]
    return {
        "filters": filters,
        "rows": rows,
        "any": bool(found),
        "outcomes": [("", "everything"), ("accepted", "accepted"), ("rejected", "rejected")],
        "at": clock.now(),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    accepted = row["outcome"] == "accepted"
    return {
        "id": f"{row['at']}-{row['message_id']}",
        "at": clock.from_ms(row["at"]),
        "name": row["name"] or "(no name)",
        "accepted": accepted,
        "reason": "" if accepted else words.REASONS.get(row["outcome"], words.humanise(row["outcome"])),
        "code": row["outcome"],
        "steps": [_note(note) for note in row["notes"]],
        "facts": [_text(row["scrubbed"].get(name)) for name in ("device", "browser", "country", "campaign", "value") if row["scrubbed"].get(name)],
        "json": json.dumps(row["scrubbed"], indent=2, ensure_ascii=False, default=str),
        "test": bool(row["scrubbed"].get("test")),
        "bot": bool(row["scrubbed"].get("bot")),
    }


def _note(note: dict[str, Any]) -> dict[str, Any]:
    """One step: the fields it set, or why it refused."""
    sets = [{"field": field, "value": _text(value)} for field, value in note.get("set", {}).items()]
    refusal = note.get("dropped")
    why = note.get("why") or (words.REASONS.get(refusal, words.humanise(refusal)) if refusal else "")
    ignored = f"ignored {note['ignored']}" if note.get("ignored") else ""
    return {"step": words.humanise(note.get("step", "")), "sets": sets, "dropped": bool(refusal), "why": why or ignored}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else text[:117] + "…"
