"""A cohort: entries ANDed, a repeated dimension meaning any of its values, the empty cohort everyone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from funnelwatch.core.vocabulary import DIMENSIONS

#: Said in one breath, in this order: "mobile iOS 17 Safari".
_CLIENT = ("device", "os", "os_version", "browser", "browser_version")
_SPOKEN_ORDER = {name: position for position, name in enumerate(DIMENSIONS)}


@dataclass(frozen=True, slots=True, order=True)
class Cohort:
    """Sorted (dimension, value) pairs, so that equal cohorts compare and hash equal."""

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, entries: Mapping[str, str] | Iterable[tuple[str, str]]) -> "Cohort":
        """Cohort from a mapping or pairs, in canonical order."""
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        return cls(tuple(sorted(set(pairs))))

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, str]]) -> "Cohort":
        """Cohort from `[{"dimension": ..., "value": ...}]`."""
        return cls.of((row["dimension"], row["value"]) for row in rows)

    def to_json(self) -> list[dict[str, str]]:
        """`[{"dimension": ..., "value": ...}]`."""
        return [{"dimension": dimension, "value": value} for dimension, value in self.entries]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The distinct dimensions, sorted."""
        return tuple(sorted({dimension for dimension, _ in self.entries}))

    def values(self, dimension: str) -> tuple[str, ...]:
        """The values allowed for `dimension`; empty when the cohort does not restrict it."""
        return tuple(value for name, value in self.entries if name == dimension)

    def contains(self, other: "Cohort") -> bool:
        """Whether every session of `other` is in this cohort, judged by the entries alone."""
        return all(
            other.values(dimension) and set(other.values(dimension)) <= set(self.values(dimension))
            for dimension in self.dimensions
        )

    def label(self) -> str:
        """How people read it: `iOS Safari · ig_sale`; `everyone` when empty."""
        client = " ".join(self._spoken(name) for name in _CLIENT if self.values(name))
        rest = sorted(set(self.dimensions) - set(_CLIENT), key=lambda name: (_SPOKEN_ORDER.get(name, len(DIMENSIONS)), name))
        return " · ".join(part for part in (client, *map(self._spoken, rest)) if part) or "everyone"

    def _spoken(self, dimension: str) -> str:
        return " or ".join(self.values(dimension))


EVERYONE = Cohort()
