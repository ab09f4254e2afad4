"""Funnel definitions as people write them: checked with words that say what to do, saved as versions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max

from funnelwatch.core.funnel import FunnelDef, PropertyFilter, Step, parse_steps
from funnelwatch.projects.models import Funnel, Project, steps_to_json

#: Roll-ups keep which steps are collected in 16 bits of a funnel's version.
MOST_STEPS = 16
LONGEST_WINDOW = 10_080
_NAME = re.compile(r"[\w .-]{1,60}")
_DERIVED = {"landing_page": "page_path", "new_or_returning": "a property the shop sends"}


class Wrong(ValueError):
    """A definition that cannot be used: `field` is `name`, `steps`, `exclusions`, `window_minutes` or `count_by`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Draft:
    """A definition that was checked and is no version yet."""

    name: str
    steps: tuple[Step, ...]
    exclusions: tuple[Step, ...]
    window_minutes: int
    count_by: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Draft":
        """From `{name, steps, exclusions, window_minutes, count_by}` as the API takes it. Raises Wrong."""
        name, count_by = data.get("name", "storefront"), data.get("count_by", "session")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Wrong("name", "Give the funnel a name of up to 60 letters, digits, spaces, dots or hyphens.")
        if count_by not in ("session", "visitor"):
            raise Wrong("count_by", f"Count by session or visitor, not {count_by!r}.")
        return cls(name, _steps(data.get("steps")), _exclusions(data.get("exclusions", ())), _window(data.get("window_minutes", 60)), count_by)

    def definition(self, project: Project) -> FunnelDef:
        """The frozen form the stages use, with no number yet."""
        return FunnelDef(0, project.pk, self.name, 0, self.steps, self.window_minutes, self.count_by, self.exclusions)

    def columns(self) -> dict[str, Any]:
        """As `Funnel` keeps it."""
        return {
            "name": self.name, "steps": steps_to_json(self.steps), "exclusions": steps_to_json(self.exclusions),
            "window_minutes": self.window_minutes, "count_by": self.count_by,
        }  # fmt: skip


@transaction.atomic
def save(project: Project, draft: Draft) -> tuple[Funnel, bool]:
    """The draft as the funnel's next version, and True; or the version watched already where nothing differs, and False.

    Older versions stay for the history they counted, and are watched no more.
    """
    versions = Funnel.objects.select_for_update().filter(project=project, name=draft.name)
    watched = versions.filter(active=True).order_by("-version").first()
    if watched and all(getattr(watched, name) == value for name, value in draft.columns().items()):
        return watched, False
    last = versions.aggregate(last=Max("version"))["last"] or 0
    versions.update(active=False)
    return Funnel.objects.create(project=project, version=last + 1, **draft.columns()), True


def _steps(value: Any) -> tuple[Step, ...]:
    if isinstance(value, str):
        try:
            value = steps_to_json(parse_steps(value))
        except ValueError as error:
            raise Wrong("steps", str(error)) from error
    steps = _each("steps", "Step", value)
    names = [step.name for step in steps]
    if len(steps) < 2:
        raise Wrong("steps", "A funnel needs at least two steps with different names: add one.")
    if len(steps) > MOST_STEPS:
        raise Wrong("steps", f"A funnel has at most {MOST_STEPS} steps: take {len(steps) - MOST_STEPS} out or join some by any-of.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Wrong("steps", f"Two steps are called {twice!r}: give each a name of its own.")
    return steps


def _exclusions(value: Any) -> tuple[Step, ...]:
    return _each("exclusions", "Exclusion", value)


def _each(field: str, noun: str, value: Any) -> tuple[Step, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Wrong(field, 'Write a list of {"name", "events", "filters"}.')
    return tuple(_step(field, f"{noun} {number}", row) for number, row in enumerate(value, 1))


def _step(field: str, where: str, row: Any) -> Step:
    if not isinstance(row, Mapping):
        raise Wrong(field, f'{where}: write {{"name", "events", "filters"}}.')
    name = row.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 60 or ">" in name:
        raise Wrong(field, f"{where}: give it a name of up to 60 characters without '>'.")
    where = f"{where} ({name.strip()})"
    events = _texts(row.get("events"))
    if not events:
        raise Wrong(field, f"{where}: name at least one event, as the live view shows it.")
    filters = row.get("filters", ())
    if not isinstance(filters, Sequence) or isinstance(filters, str):
        raise Wrong(field, f'{where}: filters are a list of {{"property", "values", "negate"}}.')
    return Step(name.strip(), events, tuple(_filter(field, where, rule) for rule in filters))


def _filter(field: str, where: str, rule: Any) -> PropertyFilter:
    named = rule.get("property") if isinstance(rule, Mapping) else None
    if not isinstance(named, str) or not 0 < len(named) <= 100:
        raise Wrong(field, f"{where}: a filter needs a property, like payment_provider.")
    if named in _DERIVED:
        raise Wrong(field, f"{where}: {named} is known only after the session; filter on {_DERIVED[named]} instead.")
    values = _texts(rule.get("values"))
    if not values:
        raise Wrong(field, f"{where}: say which values of {named} count.")
    return PropertyFilter(named, values, bool(rule.get("negate")))


def _texts(value: Any) -> tuple[str, ...]:
    """The list's texts, each once; empty where it is no list of texts of 1 to 200 characters."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > 100:
        return ()
    if not all(isinstance(text, str) and 0 < len(text) <= 200 for text in value):
        return ()
    return tuple(dict.fromkeys(value))


def _window(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(value) <= LONGEST_WINDOW:
        raise Wrong("window_minutes", f"The window is 1 to {LONGEST_WINDOW:,} minutes (a week).")
    return int(value)
