"""Which minutes may be judged: not those still arriving, not those in which nothing at all arrived, not those before a recovery."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats
from funnelwatch.detect.expect import LONGEST, Expectation, Expecter

#: Minutes known to less than this share are not judged yet.
TOO_FRESH = 0.5
#: A run of minutes without any event, of any series, in which this many hits were due is a stop of the stream (chance exp(-7)).
HITS_DUE = 7.0
#: Share of delayed conversions that must be through before rates count again after a stop: their trials were not seen.
THROUGH = 0.95


def hide(seen: Expectation, trials: Floats, blind: NDArray[np.int64], known_until: int, laid: Expecter) -> Expectation:
    """`seen` with zeros where a series may not be judged. Stops hide rates, not volumes.

    `trials`: (U, K or more) trials of the same minutes and before. `blind`: (U,) last minute before each one's recovery.
    """
    hidden = ((seen.completeness < TOO_FRESH) | (seen.minutes > known_until))[None, :]
    if blind.max(initial=-1) >= seen.minutes[0]:
        hidden = hidden | (seen.minutes <= blind[:, None])
    stopped = _stopped(seen, trials, laid)
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


def _stopped(seen: Expectation, trials: Floats, laid: Expecter) -> NDArray[np.bool_]:
    """(K,) minutes of a stop, and those after it in which conversions of unseen trials still arrive."""
    stopped = np.zeros(len(seen.minutes), bool)
    nothing = (seen.hits.sum(axis=0) == 0) & (trials[~laid.volume, -len(stopped) :].sum(axis=0) == 0)
    if not nothing.any() or not len(seen.hits):
        return stopped
    due = seen.expected.sum(axis=0) / max(len(seen.hits), 1)  # mean over series: cohorts count the same people again
    # conversions of people seen before the stop dry up during it, so what is due comes from volumes where there are any
    if laid.volume.any():
        due = seen.expected[laid.volume].max(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], nothing.astype(np.int8), [0]])))
    slowest = max(int(np.searchsorted(np.cumsum(pmf), THROUGH)) for pmf in laid.pmf)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if due[start:end].sum() >= HITS_DUE:
            stopped[start : end + slowest if end < len(stopped) else end] = True
    return stopped
