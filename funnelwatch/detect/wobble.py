"""Noise beyond counting within the hour, learned from calm minutes as they pass: hourly history cannot show it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats
from funnelwatch.detect.expect import WINDOWS

#: Relative standard deviation from minute to minute believed of a series that has not shown its own.
PRIOR = 0.03
_WIDTHS = np.array(WINDOWS, dtype=float)
_PRIOR2 = PRIOR**2 / _WIDTHS
#: What that belief is worth in squared expected hits: as much as it takes to tell the prior from nothing. Sums over w minutes that
#: overlap tell a w-th each, so the variance of an estimate is 2 w / weight, to equal the prior squared.
_WORTH = 2 * _WIDTHS / _PRIOR2**2
#: What a series shows counts half after two days.
_DECAY = 0.5 ** (1 / 2880)
#: A squared residual counts up to this many times its expectation, so that an incident's first minutes do not hide it.
_CUT = 9.0


def fresh(size: int) -> dict[str, NDArray[Any]]:
    """`square`, `weight`: (U, len(WINDOWS)) residual squares beyond counting noise, and squared expected hits."""
    return {"square": np.zeros((size, len(WINDOWS))), "weight": np.zeros((size, len(WINDOWS)))}


def excess(state: Mapping[str, NDArray[Any]]) -> Floats:
    """(U, len(WINDOWS)) relative variance beyond counting noise of sums over w minutes."""
    return np.asarray(np.maximum((state["square"] + _PRIOR2 * _WORTH) / (state["weight"] + _WORTH), 0.0))


def learn(state: Mapping[str, NDArray[Any]], hits: Floats, expected: Floats, noise: Floats, calm: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """One minute on: (U, len(WINDOWS)) sums of hits and expected, and counting `noise` (variance / mean), where `calm` (U,)."""
    noise = noise * expected
    weight = expected**2
    square = np.minimum((hits - expected) ** 2, _CUT * (noise + 4 * _PRIOR2 * weight)) - noise
    return {
        "square": _DECAY * state["square"] + square * calm[:, None],
        "weight": _DECAY * state["weight"] + weight * calm[:, None],
    }
