"""A funnel as the editing page writes it: rows of text, filters one a line as `property = value, value`."""

import re
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict

from funnelwatch.core.funnel import PropertyFilter, Step
from funnelwatch.projects.funnels import Draft, Wrong
from funnelwatch.projects.models import Funnel

_FILTER = re.compile(r"\s*([^=!]+?)\s*(!?=)\s*(.*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One step or exclusion, as typed."""

    name: str = ""
    events: str = ""
    filters: str = ""

    @classmethod
    def of(cls, step: Step) -> "Row":
        return cls(step.name, ", ".join(step.events), "\n".join(map(_line, step.filters)))

    @property
    def lines(self) -> int:
        """Height of the filters' field: what is there and a line more."""
        return self.filters.count("\n") + 2 if self.filters else 1

    def empty(self) -> bool:
        return not (self.name.strip() or self.events.strip() or self.filters.strip())

    def data(self, field: str) -> dict[str, Any]:
        """As the API takes it; without a name it is called after its events. Raises Wrong."""
        events = _split(self.events)
        filters = [_rule(field, line) for line in self.filters.splitlines() if line.strip()]
        return {"name": self.name.strip() or ", ".join(events)[:60], "events": events, "filters": filters}


@dataclass(frozen=True, slots=True)
class FunnelForm:
    """The whole page's fields."""

    name: str = ""
    window_minutes: str = "60"
    count_by: str = "session"
    steps: tuple[Row, ...] = (Row(), Row())
    exclusions: tuple[Row, ...] = ()

    @classmethod
    def of(cls, funnel: Funnel) -> "FunnelForm":
        """A stored version."""
        whole = funnel.definition()
        steps, exclusions = (tuple(map(Row.of, rows)) for rows in (whole.steps, whole.exclusions))
        return cls(whole.name, str(whole.window_minutes), whole.count_by, steps, exclusions)

    @classmethod
    def sent(cls, post: QueryDict, name: str) -> "FunnelForm":
        """What was posted; `name` where it is fixed."""
        return cls(
            name or post.get("name", "").strip(), post.get("window_minutes", "").strip(), post.get("count_by", ""),
            _rows(post, "step"), _rows(post, "exclusion"),
        )  # fmt: skip

    def edited(self, act: str) -> "FunnelForm":
        """After a row's button: `add-step`, `add-exclusion`, `drop-step-N`, `drop-exclusion-N`, `up-step-N` (N from 1); else as it is."""
        verb, _, rest = act.partition("-")
        noun, _, number = rest.partition("-")
        if noun not in ("step", "exclusion"):
            return self
        rows = list(self.steps if noun == "step" else self.exclusions)
        at = int(number) - 1 if number.isdecimal() else -1
        if verb == "add":
            rows.append(Row())
        elif verb == "drop" and 0 <= at < len(rows):
            del rows[at]
        elif verb == "up" and 0 < at < len(rows):
            rows[at - 1], rows[at] = rows[at], rows[at - 1]
        return replace(self, **{f"{noun}s": tuple(rows)})

    def draft(self) -> Draft:
        """The checked definition; rows left empty do not count. Raises Wrong."""
        return Draft.of({
            "name": self.name, "window_minutes": self.window_minutes, "count_by": self.count_by,
            "steps": [row.data("steps") for row in self.steps if not row.empty()],
            "exclusions": [row.data("exclusions") for row in self.exclusions if not row.empty()],
        })  # fmt: skip


def _rows(post: QueryDict, noun: str) -> tuple[Row, ...]:
    columns = [post.getlist(f"{noun}_{column}") for column in ("name", "events", "filters")]
    return tuple(Row(*texts) for texts in zip(*columns, strict=False))


def _rule(field: str, line: str) -> dict[str, Any]:
    found = _FILTER.fullmatch(line)
    if not found:
        raise Wrong(field, f"Write a filter like payment_provider = stripe, paypal or device != tablet, not {line.strip()!r}.")
    return {"property": found[1], "values": _split(found[3]), "negate": found[2] == "!="}


def _line(rule: PropertyFilter) -> str:
    return f"{rule.property} {'!=' if rule.negate else '='} {', '.join(rule.values)}"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
