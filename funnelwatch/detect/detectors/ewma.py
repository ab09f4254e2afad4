"""EWMA control chart whose limits come from the count model: near its optimum for medium drops at medium traffic."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.stats.counts import poisson_divergence
from funnelwatch.detect.detectors import Scores, State, Tick

VERSION = 1
#: Weight of the newest minute: a memory of about ten minutes.
WEIGHT = 0.2


def fresh(size: int) -> State:
    """(U,) running means of hits and of expected hits, and the variance of their difference."""
    return {"hits": np.zeros(size), "expected": np.zeros(size), "variance": np.zeros(size)}


def step(state: Mapping[str, NDArray[Any]], tick: Tick) -> tuple[State, Scores]:
    """Move the means on; p by a Poisson of the same mean and variance (Chernoff bound), the level's own error forgiven first."""
    expected = tick.expected[:, -1]
    mean = (1 - WEIGHT) * state["expected"] + WEIGHT * expected
    hits = (1 - WEIGHT) * state["hits"] + WEIGHT * tick.hits[:, -1]
    counting = expected * tick.phi + tick.minutely2 * expected**2
    variance = (1 - WEIGHT) ** 2 * state["variance"] + WEIGHT**2 * counting
    following = {"hits": hits, "expected": mean, "variance": variance}
    side = np.where(hits < mean, 1 - tick.margin, 1 + tick.margin)
    beyond = np.where(hits < mean, hits < mean * side, hits > mean * side)
    total = variance + tick.hourly2 * mean**2
    scale = mean / np.maximum(total, 1e-12)  # hits * scale is Poisson in mean and variance
    nats = np.where(beyond, poisson_divergence(hits * scale, mean * side * scale), 0.0)
    nats = np.where(mean > 1e-9, nats, 0.0)
    return following, Scores(-nats, np.where(hits < mean, -1, 1).astype(np.int8))
