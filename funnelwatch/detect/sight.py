"""Which minutes may be judged: not those still arriving, not those in which nothing at all arrived, not those before a recovery."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats
from funnelwatch.detect.expect import LONGEST, Expectation, Expecter

#: Minutes known to less than this share are not judged yet.
TOO_FRESH = 0.5
#: A run of minutes without any event, of any series, in which this many were due is a stop of the stream (chance exp(-9)).
EVENTS_DUE = 9.0
#: Share of delayed conversions that must be through before rates count again after a stop: their trials were not seen.
THROUGH = 0.98


def hide(seen: Expectation, stopped: NDArray[np.bool_], blind: NDArray[np.int64], known_until: int, laid: Expecter) -> Expectation:
    """`seen` with zeros where a series may not be judged. Stops (K,) hide rates, not volumes.

    `blind`: (U,) last minute before each one's recovery.
    """
    hidden = (seen.completeness < TOO_FRESH) | (seen.minutes > known_until)[None, :]
    if blind.max(initial=-1) >= seen.minutes[0]:
        hidden = hidden | (seen.minutes <= blind[:, None])
    if stopped.any():
        hidden = hidden | (stopped & ~laid.volume[:, None])
    if not hidden.any():
        return seen
    # what is left of a window is shorter than the window: Poisson is the safe side
    partly = hidden[:, -LONGEST:].any(axis=1, keepdims=True)
    return replace(
        seen,
        bounded=np.where(partly, 0.0, seen.bounded),
        hits=np.where(hidden, 0.0, seen.hits),
        expected=np.where(hidden, 0.0, seen.expected),
        due_trials=np.where(hidden, 0.0, seen.due_trials),
    )


def stops(trials: Floats, hits: Floats, laid: Expecter) -> NDArray[np.bool_]:
    """(W,) minutes of a stop of the whole stream, and those after it in which conversions of unseen trials still arrive.

    `trials`, `hits`: (U, W). What was due is judged by the busiest series over the rest of the window.
    """
    stopped = np.zeros(hits.shape[1], bool)
    events = hits + np.where(laid.volume[:, None], 0.0, trials)
    busiest = events[int(np.argmax(events.sum(axis=1)))] if len(events) else np.zeros(0)
    if not (busiest == 0).any():
        return stopped
    nothing = (events.sum(axis=0) == 0).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], nothing, [0]])))
    slowest = max(int(np.searchsorted(np.cumsum(pmf), THROUGH)) for pmf in laid.pmf)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        due = busiest.sum() / max(len(stopped) - (end - start), 1) * (end - start)
        if due >= EVENTS_DUE:
            stopped[start : end + slowest if end < len(stopped) else end] = True
    return stopped
