"""Empirical-Bayes shrinkage: a rate learned from few trials leans on its parent's."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shrink(hits: Floats, trials: Floats, prior: Floats, strength: Floats) -> Floats:
    """Posterior mean of a rate under a beta (gamma) prior of mean `prior` worth `strength` trials."""
    return np.asarray((hits + strength * prior) / (trials + strength))


def prior_strength(hits: Floats, trials: Floats, parent: Floats, low: float = 20.0, high: float = 2000.0) -> float:
    """How many trials a parent's rate is worth, from how far children lie off it beyond binomial noise (moments).

    `hits`, `trials`, `parent`: (C,) per child. `high` when nothing can be said.
    """
    seen = trials > 0
    if not seen.any():
        return high
    hits, trials, parent = hits[seen], trials[seen], np.clip(parent[seen], 1e-6, 1 - 1e-6)
    noise = parent * (1 - parent)
    # sum of n_c (p_c - p)^2 = sum of noise + n_c * spread: children of many trials tell the spread, small ones cannot
    excess = float(np.sum(trials * (hits / trials - parent) ** 2 - noise))
    spread = excess / float(np.sum(trials * noise))
    return float(np.clip(1 / spread - 1, low, high)) if spread > 0 else high
