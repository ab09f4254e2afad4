"""When did it start? The likelihood of every possible start, by minute in the window and by hour before it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats
from funnelwatch.core.stats.counts import poisson_divergence

#: Starts whose log-likelihood lies within this of the best cover the truth with 95 %: (1 - exp(-x))^2 = 0.95 (two-sided random walk).
WITHIN_95 = 3.68


@dataclass(frozen=True, slots=True)
class Onset:
    """Epoch minute, its 95 % interval, and the position of the minute in the arrays given."""

    minute: int
    low: int
    high: int
    position: int


def date(starts: NDArray[np.int64], hits: Floats, expected: Floats, direction: int, dispersion: float) -> Onset:
    """Most likely start of a lasting change of unknown size that goes on to the end.

    `starts`: (N,) epoch minute each bucket begins with, ascending; `hits`, `expected`: (N,) sums of the buckets. `direction` -1 or 1.
    """
    since_hits, since_expected = np.cumsum(hits[::-1])[::-1], np.cumsum(expected[::-1])[::-1]
    off = np.sign(since_hits - since_expected) == direction
    nats = np.where(off, poisson_divergence(since_hits, since_expected), 0.0) / dispersion
    nats = np.where(np.isfinite(nats), nats, 0.0)
    best = int(np.argmax(nats))
    near = np.flatnonzero(nats >= nats[best] - WITHIN_95)
    return Onset(int(starts[best]), int(starts[near[0]]), int(starts[near[-1]]), best)
