"""Many detectors, one word per series: a bound on its false-alarm rate, and from that a probability."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats
from funnelwatch.core.signals import Signal
from funnelwatch.detect.detectors import Scores, load

#: Share of a series' false-alarm budget each detector may spend.
SHARES = {"rate_cusum": 0.5, "glr": 0.3, "ewma": 0.2}
#: True incidents expected for each false one the budget allows: 3 a week against 0.3.
TRUE_PER_FALSE = 10.0


@dataclass(frozen=True, slots=True)
class Fused:
    """(U,) each: bound on the log false-alarm rate a minute over all detectors; direction -1 or 1 of the strongest."""

    log_p: Floats
    direction: NDArray[np.int8]


def fuse(scores: Mapping[str, Scores]) -> Fused:
    """Each detector spends its share of the budget, so the smallest p over its share bounds the whole (weighted Bonferroni)."""
    log_p = np.stack([scores[name].log_p - np.log(SHARES[name]) for name in scores])
    direction = np.stack([scores[name].direction for name in scores])
    best, row = np.argmin(log_p, axis=0), np.arange(log_p.shape[1])
    return Fused(np.minimum(log_p[best, row], 0.0), direction[best, row])


def probability(log_p: Floats, log_interval: Floats) -> Floats:
    """How likely a series this far off is truly off: true ones against false ones at this level, `TRUE_PER_FALSE` at the budget."""
    return np.asarray(1 / (1 + np.exp(np.clip(log_p + log_interval, -700, 700)) / TRUE_PER_FALSE))


def signals(scores: Mapping[str, Scores], row: int, log_interval: float, minute: int) -> tuple[Signal, ...]:
    """What each detector says of one series. `score` is how far it has gone towards opening an incident alone (1 = there)."""
    return tuple(_signal(name, result, row, log_interval, minute) for name, result in scores.items())


def _signal(name: str, result: Scores, row: int, log_interval: float, minute: int) -> Signal:
    log_p = float(result.log_p[row])
    return Signal(
        detector=name,
        version=load(name).VERSION,
        score=float(np.clip(-log_p / log_interval, 0.0, 1.0)),
        p_value=float(np.exp(max(log_p, -690.0))),  # the smallest normal float is about exp(-708)
        direction="down" if result.direction[row] < 0 else "up",
        minute=minute,
    )
