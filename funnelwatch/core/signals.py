"""What detection says: one signal a detector and series, fused into anomalies."""

from dataclasses import dataclass, field
from typing import Literal

from funnelwatch.core.series import SeriesKey
from funnelwatch.core.vocabulary import IncidentKind

Direction = Literal["down", "up"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One detector's word on one series at one minute. `score` in 0..1; `p_value` calibrated on the series' own clean history."""

    detector: str
    version: int
    score: float
    p_value: float
    direction: Direction
    minute: int  # epoch minute it speaks of
    text: str = ""  # one plain sentence for the incident page


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A series that is off, after fusion and false-discovery control.

    Rates are hits over trials since `onset`; `expected` is the delay-aware expectation over the same minutes, so
    `effect = observed / expected - 1`. Minutes are epoch minutes; `onset_interval` covers the start with 95 %.
    """

    key: SeriesKey
    minute: int
    onset: int
    onset_interval: tuple[int, int]
    expected: float
    observed: float
    interval: tuple[float, float]
    effect: float
    probability: float
    missing: float  # expected minus observed hits since onset (negative: surplus)
    trials: float
    kind: IncidentKind = "rate"
    signals: tuple[Signal, ...] = field(default=())
