"""Intervals for reported rates and their comparisons: what stands beside every percentage people see."""

import math

_Z = 1.959964  # 95 %


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """95 % interval of a rate (Wilson 1927). (0, 1) without trials."""
    if trials <= 0:
        return 0.0, 1.0
    rate, z2 = min(hits / trials, 1.0), _Z * _Z
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(hits_a: float, trials_a: float, hits_b: float, trials_b: float) -> tuple[float, float, float]:
    """Rate b minus rate a with its 95 % interval (Newcombe 1998, method 10). All of (-1, 1) where either has no trials."""
    if trials_a <= 0 or trials_b <= 0:
        return 0.0, -1.0, 1.0
    a, b = hits_a / trials_a, hits_b / trials_b
    (low_a, high_a), (low_b, high_b) = wilson(hits_a, trials_a), wilson(hits_b, trials_b)
    shift = b - a
    return shift, shift - math.hypot(b - low_b, high_a - a), shift + math.hypot(high_b - b, a - low_a)


def p_value(hits_a: float, trials_a: float, hits_b: float, trials_b: float) -> float:
    """How often two equal rates differ as much or more (two-sided score test, pooled). 1 where that cannot be told."""
    pooled = (hits_a + hits_b) / max(trials_a + trials_b, 1)
    if min(trials_a, trials_b) <= 0 or not 0 < pooled < 1:
        return 1.0
    z = (hits_b / trials_b - hits_a / trials_a) / math.sqrt(pooled * (1 - pooled) * (1 / trials_a + 1 / trials_b))
    return math.erfc(abs(z) / math.sqrt(2))


def odds_ratio(with_hits: float, with_misses: float, without_hits: float, without_misses: float) -> tuple[float, float, float]:
    """Odds with a property over odds without it, and its 95 % interval (Woolf, a half added to every cell after Haldane)."""
    a, b, c, d = (count + 0.5 for count in (with_hits, with_misses, without_hits, without_misses))
    log_ratio = math.log(a * d / (b * c))
    half = _Z * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    return math.exp(log_ratio), math.exp(log_ratio - half), math.exp(log_ratio + half)
