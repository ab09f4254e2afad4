"""Hourly sums of the last week per series, for slow drift and for totals that began before the window."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats

#: Windows in hours that detectors look back over, beyond the minutes: slow drift shows in hours to a day, in small shops in a week.
HOURS = (2, 4, 8, 16, 24, 72, 168)
KEPT = max(HOURS)
HITS, EXPECTED, TRIALS = 0, 1, 2

_LOOK_BACK = np.zeros((KEPT, len(HOURS)), dtype=np.float32)
for _column, _hours in enumerate(HOURS):
    _LOOK_BACK[KEPT - _hours :, _column] = 1.0

Rows = dict[str, NDArray[Any]]


def fresh(size: int) -> Rows:
    """`running`: (U, 3) hits, expected, trials of the running hour; `hours`: (3, ...) finished hours as (U, 3, KEPT), newest last."""
    return {"running": np.zeros((size, 3)), "hours": np.zeros((size, 3, KEPT), dtype=np.float32)}


def add(ledger: Mapping[str, NDArray[Any]], minute: int, hits: Floats, expected: Floats, trials: Floats) -> Rows:
    """Book one minute's (U,) counts. Minutes come one by one, gaps booked as zeros."""
    running, hours = ledger["running"], ledger["hours"]
    if minute % 60 == 0:
        hours = np.concatenate([hours[:, :, 1:], running[:, :, None].astype(np.float32)], axis=2)
        running = np.zeros_like(running)
    return {"running": running + np.stack([hits, expected, trials], axis=1), "hours": hours}


def look_back(ledger: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
    """Hits and expected of the last HOURS, each (U, len(HOURS)), the running hour added to each."""
    running, hours = ledger["running"], ledger["hours"]
    return (
        running[:, HITS, None] + hours[:, HITS] @ _LOOK_BACK,
        running[:, EXPECTED, None] + hours[:, EXPECTED] @ _LOOK_BACK,
    )
