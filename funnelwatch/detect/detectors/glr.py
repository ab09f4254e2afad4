"""Window-limited generalised likelihood ratio: is any of the last 1 to 64 minutes, or hours to a week, off by whatever amount?

Binomial where hits are bounded by trials (a 60 % step tells 2.5 times more than a Poisson count of the same mean), Poisson else.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.stats.counts import binomial_divergence
from funnelwatch.detect.detectors import Scores, State, Tick
from funnelwatch.detect.expect import WINDOWS, sums
from funnelwatch.detect.ledger import HOURS

VERSION = 1
_WIDTHS = np.array([*WINDOWS, *(60 * hours for hours in HOURS)], dtype=float)
_HOUR, _DAY = 60.0, 1440.0
#: Every window and both directions are a chance of their own (simulated: 27 times one window's false alarms, of 28).
LOG_CHANCES = np.log(2.0 * len(_WIDTHS))


def fresh(size: int) -> State:
    """Nothing to remember: the windows are in the tick."""
    return {}


def step(state: Mapping[str, NDArray[Any]], tick: Tick) -> tuple[State, Scores]:
    """The most surprising window's p, as a rate of false alarms a minute."""
    hits = np.concatenate([sums(tick.hits), tick.past_hits], axis=1)
    expected = np.maximum(np.concatenate([sums(tick.expected), tick.past_expected], axis=1), 1e-9)
    share = tick.bounded[:, np.minimum(np.arange(len(_WIDTHS)), len(WINDOWS) - 1)]
    counting = (1 - share) * tick.phi[:, None]
    lasting_hour = tick.hourly2[:, None] * np.minimum(1, _HOUR / _WIDTHS)
    lasting_day = tick.daily2[:, None] * np.minimum(1, _DAY / _WIDTHS)
    passing = np.zeros_like(lasting_hour)
    passing[:, : len(WINDOWS)] = np.maximum(tick.excess - (lasting_hour + lasting_day)[:, : len(WINDOWS)], 0.0)
    short, hour, day = counting + passing * expected, lasting_hour * expected, lasting_day * expected
    spread = short + hour + day  # variance over expected
    nats = binomial_divergence(hits, expected, share) * (1 - share) / spread
    # a deviation lasts as long as the noise it is made of (geometric mean): that many minutes are one chance of a false alarm
    log_lasting = (np.log(_WIDTHS) * short + np.log(np.maximum(_WIDTHS, _HOUR)) * hour + np.log(np.maximum(_WIDTHS, _DAY)) * day) / spread
    log_p = -nats + np.minimum(0.0, np.log(0.4 * np.sqrt(2 * nats) + 1e-300) - log_lasting) + LOG_CHANCES
    # hours that hold no more than the last 64 minutes (after a start) say nothing that those do not
    fuller = np.arange(len(_WIDTHS)) < len(WINDOWS)
    fuller = fuller | (expected > expected[:, [len(WINDOWS) - 1]])
    log_p = np.where((nats > 1.0) & fuller, np.minimum(log_p, 0.0), 0.0)
    best = np.argmin(log_p, axis=1)
    row = np.arange(len(best))
    direction = np.where(hits[row, best] < expected[row, best], -1, 1).astype(np.int8)
    return {}, Scores(log_p[row, best], direction)

