"""Hourly sums of the last week per series, for slow drift and for totals that began before the window."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats

#: Windows in hours that detectors look back over, beyond the minutes: slow drift shows in hours to a day, in small shops in a week.
HOURS = (2, 4, 8, 16, 24, 72, 168)
KEPT = max(HOURS)
_NAMES = ("hits", "expected", "trials")
HITS, EXPECTED, TRIALS = range(3)

_LOOK_BACK = np.zeros((KEPT, len(HOURS)), dtype=np.float32)
for _column, _hours in enumerate(HOURS):
    _LOOK_BACK[KEPT - _hours :, _column] = 1.0

Rows = dict[str, NDArray[Any]]


def fresh(size: int) -> Rows:
    """`running`: (U, 3) hits, expected, trials of the running hour; the same of finished hours (U, KEPT) each, newest last."""
    return {"running": np.zeros((size, 3)), **{name: np.zeros((size, KEPT), dtype=np.float32) for name in _NAMES}}


def add(ledger: Mapping[str, NDArray[Any]], minute: int, counts: Floats) -> Rows:
    """Book one minute's (U, 3) counts. Minutes come one by one, gaps booked as zeros."""
    if minute % 60:
        return {**ledger, "running": ledger["running"] + counts}
    ended = ledger["running"].astype(np.float32)
    hours = {name: np.concatenate([ledger[name][:, 1:], ended[:, [column]]], axis=1) for column, name in enumerate(_NAMES)}
    return {"running": counts, **hours}


def look_back(ledger: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
    """Hits and expected of the last HOURS, each (U, len(HOURS)), the running hour added to each."""
    running = ledger["running"]
    return running[:, [HITS]] + ledger["hits"] @ _LOOK_BACK, running[:, [EXPECTED]] + ledger["expected"] @ _LOOK_BACK


def hours(ledger: Mapping[str, NDArray[Any]], row: int) -> Floats:
    """(KEPT, 3) finished hours of one series, newest last."""
    return np.stack([ledger[name][row] for name in _NAMES], axis=1).astype(float)
