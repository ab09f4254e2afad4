"""What diagnosis says of a set of anomalies: which cohort, which cause, how much money."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from funnelwatch.core.cohort import Cohort

EvidenceKind = Literal["time", "scope", "mechanism", "control", "history", "shap"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line for or (negative weight) against a cause. `weight` is its share of the log-odds, natural logarithm."""

    kind: EvidenceKind
    text: str
    weight: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankedCause:
    """A candidate with its posterior. The probabilities of all candidates and "unknown" sum to one."""

    kind: str  # a ChangeKind, or "unknown", "bot", "late_data", ...
    title: str
    probability: float
    evidence: tuple[Evidence, ...]
    change_id: int | None = None
    external_id: str = ""
    rejected: str = ""  # why it is out of the race; empty while in it


@dataclass(frozen=True, slots=True)
class Impact:
    """Orders and money lost since onset in the localised cohort; money None when no order value is known."""

    currency: str
    lost_orders: float
    lost_revenue: Decimal | None
    interval: tuple[Decimal, Decimal] | None
    per_hour: Decimal | None
    recovered_revenue: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The localised cohort and step range with the share of the deficit it explains, and the ranked causes."""

    cohort: Cohort
    step_from: str
    step_to: str
    explained: float
    causes: tuple[RankedCause, ...]
    impact: Impact
    path: tuple[Mapping[str, Any], ...] = ()  # from everyone to the cohort: [{"cohort", "rate", "expected", "explained"}]
