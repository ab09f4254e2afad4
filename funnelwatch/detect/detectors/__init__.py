"""Detectors of the fast tier: name -> dotted path of a module with `VERSION`, `fresh(size)` and `step(state, tick)`.

`fresh` makes the state of `size` series: a dict of arrays whose first axis is the series. `step` takes that state and one minute's `Tick`
and returns the next state and `Scores`; it changes nothing in place. Adding one: a file, a line here, a line in the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats

DETECTORS = {
    "rate_cusum": "funnelwatch.detect.detectors.rate_cusum",
    "glr": "funnelwatch.detect.detectors.glr",
    "ewma": "funnelwatch.detect.detectors.ewma",
}

State = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Tick:
    """What detectors see of U series at one minute.

    `hits`, `expected`: (U, K) the last K minutes, the minute judged last. `bounded`: (U, len(WINDOWS)), see Expecter.bounded.
    `past_hits`, `past_expected`: (U, len(HOURS)) sums over the last hours of detect.ledger.HOURS.
    `excess`: (U, len(WINDOWS)) variance beyond counting noise of the last w minutes' hits, as a share of their mean squared.
    `phi`: (U,) >= 1, clustering. `hourly2`, `daily2`: (U,) squared relative wobble of the level lasting an hour, a day. `margin`: (U,)
    relative error of the level to be forgiven.
    """

    minute: int
    hits: Floats
    expected: Floats
    bounded: Floats
    past_hits: Floats
    past_expected: Floats
    excess: Floats
    phi: Floats
    hourly2: Floats
    daily2: Floats
    margin: Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """(U,) each. `log_p`: natural log of a bound on how often a minute (per minute) a healthy series looks so bad; `direction`: -1 down, 1 up."""

    log_p: Floats
    direction: NDArray[np.int8]


class Detector(Protocol):
    """The contract, met by a module."""

    VERSION: int

    def fresh(self, size: int) -> State:
        """State of `size` series that have seen nothing."""
        ...

    def step(self, state: Mapping[str, NDArray[Any]], tick: Tick) -> tuple[State, Scores]:
        """One minute on."""
        ...


@cache
def load(name: str) -> Detector:
    """The detector of that name. Raises KeyError for an unknown one."""
    return cast(Detector, import_module(DETECTORS[name]))
