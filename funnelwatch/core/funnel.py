"""Funnel definitions as every stage sees them."""

from dataclasses import dataclass, field
from typing import Literal

from funnelwatch.core.vocabulary import DEFAULT_FUNNEL_STEPS, DIMENSIONS, MULTI_DIMENSIONS


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """`property` is a column of `events` or a key of its JSON properties; an event matches when the value is one of `values`."""

    property: str
    values: tuple[str, ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step: any of `events`, all of `filters`. `name` is what people see and what incidents carry."""

    name: str
    events: tuple[str, ...]
    filters: tuple[PropertyFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class FunnelDef:
    """An ordered funnel. A session converts when it makes the steps in order within `window_minutes` of its first step."""

    id: int
    project_id: int
    name: str
    version: int
    steps: tuple[Step, ...]
    window_minutes: int = 60
    count_by: Literal["session", "visitor"] = "session"
    exclusions: tuple[Step, ...] = field(default=())
    #: Sets of dimensions its cohorts are cut by besides the usual ones. No part of what is counted, so no part of a version.
    combinations: tuple[tuple[str, ...], ...] = field(default=(), compare=False)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Adjacent step names: the watched conversions."""
        names = [step.name for step in self.steps]
        return tuple(zip(names, names[1:], strict=False))


def parse_steps(text: str) -> tuple[Step, ...]:
    """Steps of `'a>b>c'`. Raises ValueError when fewer than two or when one repeats."""
    names = [part.strip() for part in text.split(">")]
    if len(names) < 2 or not all(names):
        raise ValueError(f"a funnel needs at least two steps like 'view_item>purchase', got {text!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"a funnel's steps must differ, got {text!r}")
    return tuple(Step(name=name, events=(name,)) for name in names)


def parse_combination(text: str) -> tuple[str, ...]:
    """The dimensions of `'browser+region'`, in the vocabulary's order. Raises ValueError with what to write instead."""
    names = {part.strip() for part in text.split("+")}
    unknown = sorted(names - set(DIMENSIONS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no dimension: take two or three of {', '.join(DIMENSIONS)}")
    if not 2 <= len(names) <= 3:
        raise ValueError(f"a combination has two or three different dimensions, as browser+region, not {text!r}")
    if len(names & set(MULTI_DIMENSIONS)) > 1:
        raise ValueError(f"of {', '.join(MULTI_DIMENSIONS)} a combination takes one at most, not {text!r}")
    return tuple(name for name in DIMENSIONS if name in names)


def default_steps() -> tuple[Step, ...]:
    """The default storefront funnel."""
    return tuple(Step(name=name, events=(name,)) for name in DEFAULT_FUNNEL_STEPS)
