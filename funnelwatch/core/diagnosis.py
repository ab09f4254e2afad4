"""What diagnosis says of a set of anomalies: which cohort, which cause, how much money."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.signals import Anomaly

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


@dataclass(frozen=True, slots=True)
class LeafTable:
    """Counts by the finest combination of dimension values at one step, before and since the onset.

    `values`: (L, D) value codes, `labels[d][code]` their text. The other arrays are (L,): sessions that entered the step and
    those that converted, before (`base_*`) and since (`trials`, `hits`). Sessions since are those old enough to have had
    their time: each trial is weighted by the share of conversions expected by now, so `hits / trials` is comparable.
    """

    dimensions: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    values: NDArray[np.int64]
    base_trials: NDArray[np.float64]
    base_hits: NDArray[np.float64]
    trials: NDArray[np.float64]
    hits: NDArray[np.float64]

    def mask(self, cohort: Cohort) -> NDArray[np.bool_]:
        """(L,) leaves in `cohort`; dimensions the table does not have restrict nothing."""
        inside = np.ones(len(self.trials), dtype=bool)
        for dimension in cohort.dimensions:
            if dimension in self.dimensions:
                axis = self.dimensions.index(dimension)
                codes = [code for code, label in enumerate(self.labels[axis]) if label in cohort.values(dimension)]
                inside &= np.isin(self.values[:, axis], codes)
        return inside


@dataclass(frozen=True, slots=True)
class Signature:
    """An error class and code within the broken cohort: events per session entering the step, before and since the onset."""

    event: str  # one of vocabulary.ERROR_EVENTS
    code: str
    before: float
    since: float
    count: int
    first_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionTable:
    """A sample of sessions of the broken cohort that entered the step, for the session model.

    `columns`: feature name -> (N,) float array (category codes, flags 0/1, counts, milliseconds with NaN for unknown).
    `converted`, `since`: (N,) bool, whether the session converted and whether it entered after the onset.
    """

    columns: Mapping[str, NDArray[np.float64]]
    converted: NDArray[np.bool_]
    since: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much one feature moved the mean predicted conversion from before to since, in points (0.01 = one point)."""

    feature: str
    points: float
    before: float
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault as one tick sees it, ready to be recorded.

    `anomaly` is the chief one, of the localised cohort where that cohort is a series; `others` are the anomalies the same
    diagnosis explains; `chart` is what the incident page draws (`IncidentChart` in web/payloads.py).
    """

    funnel: FunnelDef
    anomaly: Anomaly
    diagnosis: Diagnosis
    others: tuple[Anomaly, ...] = ()
    chart: Mapping[str, Any] = field(default_factory=dict)
