"""EWMA control chart whose limits come from the count model: near its optimum for medium drops at medium traffic."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.stats.counts import poisson_divergence
from funnelwatch.detect.detectors import Scores, State, Tick
from funnelwatch.detect.expect import WINDOWS

VERSION = 1
#: Weight of the newest minute: a memory of about ten minutes.
WEIGHT = 0.2
_SPAN = WINDOWS.index(8)


def fresh(size: int) -> State:
    """(U,) running means of hits and of expected hits, and the variance of their difference."""
    return {"hits": np.zeros(size), "expected": np.zeros(size), "variance": np.zeros(size)}


def step(state: Mapping[str, NDArray[Any]], tick: Tick) -> tuple[State, Scores]:
    """Move the means on; p by a Poisson of the same mean and variance (Chernoff bound), the level's own error forgiven first."""
    expected = tick.expected[:, -1]
    mean = (1 - WEIGHT) * state["expected"] + WEIGHT * expected
    hits = (1 - WEIGHT) * state["hits"] + WEIGHT * tick.hits[:, -1]
    variance = (1 - WEIGHT) ** 2 * state["variance"] + WEIGHT**2 * expected * tick.phi
    following = {"hits": hits, "expected": mean, "variance": variance}
    side = np.where(hits < mean, 1 - tick.margin, 1 + tick.margin)
    beyond = np.where(hits < mean, hits < mean * side, hits > mean * side)
    total = variance + tick.excess[:, _SPAN] * mean**2
    scale = mean / np.maximum(total, 1e-12)  # hits * scale is Poisson in mean and variance
    nats = np.where(beyond, poisson_divergence(hits * scale, mean * side * scale), 0.0)
    nats = np.where(mean > 1e-9, nats, 0.0)
    # the mean remembers 1 / WEIGHT minutes, which are one chance of a false alarm together (tail of a normal, rate of its excursions)
    # unless single hits make the excursion
    together = np.where(mean * scale > 1, 0.4 * np.sqrt(2 * nats) * WEIGHT, 1.0)
    log_p = -nats + np.minimum(0.0, np.log(together + 1e-300))
    return following, Scores(np.where(nats > 1.0, log_p, 0.0), np.where(hits < mean, -1, 1).astype(np.int8))
