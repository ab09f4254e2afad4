"""Multi-effect count CUSUM on what should have arrived by now: the optimum for a lasting change of known size, for several sizes at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.detect.detectors import Scores, State, Tick
from funnelwatch.detect.expect import WINDOWS

VERSION = 1
#: Ratios of hits to expected looked for, in parallel: five drops, five rises (the large ones are errors going from rare to common).
EFFECTS = np.array([0.02, 0.2, 0.5, 0.8, 0.95, 1.1, 1.5, 3.0, 10.0, 40.0])
_LOG = np.log(EFFECTS)
_DOWN = EFFECTS < 1
#: Wobble is taken as it shows over eight minutes: about what a drop worth paging takes.
_SPAN = WINDOWS.index(8)


def fresh(size: int) -> State:
    """`nats` (U, E): log-likelihood ratio of each effect since it last was zero."""
    return {"nats": np.zeros((size, len(EFFECTS)))}


def step(state: Mapping[str, NDArray[Any]], tick: Tick) -> tuple[State, Scores]:
    """Add the minute's log-likelihood ratios, tempered by the dispersion; stop at zero. Threshold log(ARL), so p = exp(-nats)."""
    hits, expected = tick.hits[:, -1], tick.expected[:, -1]
    # the null is the expectation less (for drops) or plus (for rises) what the level itself may be off
    null = expected[:, None] * np.where(_DOWN, 1 - tick.margin[:, None], 1 + tick.margin[:, None])
    dispersion = tick.phi + tick.excess[:, _SPAN] * expected * WINDOWS[_SPAN]
    nats = np.maximum(state["nats"] + (hits[:, None] * _LOG - null * (EFFECTS - 1)) / dispersion[:, None], 0.0)
    down, up = nats[:, _DOWN].max(axis=1), nats[:, ~_DOWN].max(axis=1)
    return {"nats": nats}, Scores(-np.maximum(down, up), np.where(down >= up, -1, 1).astype(np.int8))
