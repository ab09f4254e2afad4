"""Likelihoods, tails and intervals of counts: the arithmetic under every detector."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
_TINY = 1e-300


def poisson_divergence(hits: Floats, expected: Floats) -> Floats:
    """`expected - hits + hits ln(hits/expected)`, >= 0, element-wise: how many nats `hits` lies off a Poisson mean.

    Zero where `expected` is zero and `hits` is too; infinite where only `expected` is zero.
    """
    return np.asarray(special.kl_div(hits, expected))


def binomial_divergence(hits: Floats, expected: Floats, share: Floats) -> Floats:
    """Nats that `hits` lies off a binomial of mean `expected` and success rate `share` (0 <= share < 1), element-wise.

    `share = 0` is the Poisson limit. Where hits exceed the trials `expected / share`, the failures count as none.
    """
    bounded = share > 1e-6
    own = hits * np.log(np.maximum(hits, _TINY) / np.maximum(expected, _TINY))  # scipy's kl_div takes four times as long
    trials = np.where(bounded, expected / np.where(bounded, share, 1.0), 0.0)
    failed, due = np.maximum(trials - hits, 0.0), np.maximum(trials - expected, 0.0)
    rest = np.where(bounded, failed * np.log(np.maximum(failed, _TINY) / np.maximum(due, _TINY)), expected - hits)
    return np.asarray(np.maximum(own + rest, 0.0))


def rate_interval(hits: float, trials: float, dispersion: float = 1.0) -> tuple[float, float]:
    """95 % Jeffreys interval of a rate, counts divided by `dispersion` first (quasi-binomial). (0, 1) where `trials` is zero."""
    trials = trials / dispersion
    hits = min(hits / dispersion, trials)
    low, high = (float(special.betaincinv(hits + 0.5, trials - hits + 0.5, tail)) for tail in (0.025, 0.975))
    return low if hits > 0 else 0.0, high if hits < trials else 1.0


def count_interval(hits: float, dispersion: float = 1.0) -> tuple[float, float]:
    """95 % Jeffreys interval of a Poisson mean from one count, divided by `dispersion` first (quasi-Poisson)."""
    low, high = (float(special.gammaincinv(hits / dispersion + 0.5, tail)) * dispersion for tail in (0.025, 0.975))
    return low if hits > 0 else 0.0, high


def detection_floor(per_minute: float, rate: float, drop: float, mean_minutes_between_false_alarms: float) -> float:
    """Minutes no detector can beat on average for a relative `drop` of a success `rate` (Lorden 1971, Moustakides 1986)."""
    fallen = rate * (1 - drop)
    nats = float(special.rel_entr(fallen, rate) + special.rel_entr(1 - fallen, 1 - rate))
    return math.inf if per_minute * nats == 0 else math.log(mean_minutes_between_false_alarms) / (per_minute * nats)


def smallest_drop(per_minute: float, rate: float, minutes: float, mean_minutes_between_false_alarms: float) -> float | None:
    """The smallest relative drop whose floor is `minutes` or less; None when even a total loss takes longer."""
    if per_minute <= 0 or detection_floor(per_minute, rate, 1.0, mean_minutes_between_false_alarms) > minutes:
        return None
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if detection_floor(per_minute, rate, middle, mean_minutes_between_false_alarms) > minutes:
            low = middle
        else:
            high = middle
    return high
