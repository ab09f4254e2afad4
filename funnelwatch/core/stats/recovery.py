"""Is it over? A sequential test that a fallen (or risen) count is back at its expectation."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: log(200): a recovery is declared wrongly about once in 200 tries.
RECOVERED_AT = float(np.log(200.0))


def evidence(before: Floats, hits: Floats, expected: Floats, ratio: Floats | float, dispersion: Floats | float = 1.0) -> Floats:
    """One minute's step of the test, element-wise: nats in favour of "back at `expected`", never below zero (a CUSUM back).

    `ratio` is hits over expected during the trouble. The rival of "back" is half-way recovery, so a half cure does not count.
    `dispersion` tempers the likelihood (quasi-Poisson). Recovered once the result passes `RECOVERED_AT`.
    """
    half = np.maximum((1 + np.asarray(ratio)) / 2, 1e-3)
    gained = (-hits * np.log(half) - expected * (1 - half)) / dispersion
    return np.asarray(np.maximum(before + gained, 0.0))


def recovered(hits: Floats, expected: Floats, ratio: float, dispersion: float = 1.0) -> bool:
    """Whether `hits` by minute, oldest first, are back at `expected` by their end, given the `ratio` during the trouble."""
    nats = np.zeros(())
    for seen, due in zip(hits, expected, strict=True):
        nats = evidence(nats, seen, due, ratio, dispersion)
    return bool(nats >= RECOVERED_AT)
