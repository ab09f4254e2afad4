"""What an incident costs: orders and money missing since the onset, with an interval by simulation."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from funnelwatch.core.diagnosis import Impact

#: Draws behind the interval: the 2.5 % quantile of 4,000 draws moves by about 1 % between seeds.
DRAWS = 4_000
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Loss:
    """Inputs of the sum, all of the localised cohort.

    `expected`, `observed`: conversions at the broken step since onset; `expected_variance` of the expectation.
    `later_trials`, `later_hits`: sessions past the step and the orders they made, before onset (what a lost conversion is worth
    in orders). `order_values`: mean, standard deviation and number of the cohort's own orders in `currency`.
    """

    expected: float
    expected_variance: float
    observed: float
    later_trials: float
    later_hits: float
    minutes: float
    currency: str
    order_mean: float = 0.0
    order_sd: float = 0.0
    orders: int = 0


def estimate(loss: Loss, seed: int = 0) -> Impact:
    """Lost orders and revenue since onset and per hour at the present pace; never below zero. Same inputs, same numbers."""
    reach = (loss.later_hits + 0.5) / (loss.later_trials + 1.0) if loss.later_trials else 1.0
    reach = min(reach, 1.0)
    orders = max(loss.expected - loss.observed, 0.0) * reach
    if not loss.orders:
        return Impact(loss.currency, orders, None, None, None)
    draws = _simulate(loss, np.random.default_rng(seed))
    low, high = np.quantile(draws, [0.025, 0.975])
    revenue = orders * loss.order_mean
    per_hour = revenue * 60.0 / max(loss.minutes, 1.0)
    return Impact(loss.currency, orders, _money(revenue), (_money(float(low)), _money(float(high))), _money(per_hour))


def _simulate(loss: Loss, random: np.random.Generator) -> np.ndarray:
    """Lost revenue under the doubt of the expectation, of the count, of the way to the order and of the order's value."""
    expected = random.normal(loss.expected, np.sqrt(loss.expected_variance + loss.expected), DRAWS)
    reach = random.beta(loss.later_hits + 0.5, max(loss.later_trials - loss.later_hits, 0.0) + 0.5, DRAWS) if loss.later_trials else 1.0
    value = random.normal(loss.order_mean, loss.order_sd / np.sqrt(max(loss.orders, 1)), DRAWS)
    return np.maximum(expected - loss.observed, 0.0) * reach * np.maximum(value, 0.0)


def _money(amount: float) -> Decimal:
    return Decimal(str(round(amount, 2))).quantize(CENT)
