"""Slow tier: where does the mean of the residuals change? Dates an onset independently of the likelihood the fast tier uses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from funnelwatch.core.series import Floats
from funnelwatch.core.signals import Signal

VERSION = 1
MIN_SEGMENT = 3
#: As for a likelihood-dated onset; the cost below is twice the log-likelihood.
WITHIN_95 = 2 * 3.68


@dataclass(frozen=True, slots=True)
class Change:
    """A change of mean: first minute of the new regime with its 95 % interval, its z-score against the regime before."""

    minute: int
    low: int
    high: int
    z: float


def latest(minutes: NDArray[np.int64], hits: Floats, expected: Floats, dispersion: float) -> Change | None:
    """The last change of mean of (N,) standardised residuals, found by PELT with penalty 3 ln n; None when there is none."""
    import ruptures  # a second to import, and only flagged series come here

    seen = expected > 1e-9
    if seen.sum() < 3 * MIN_SEGMENT:
        return None
    minutes = minutes[seen]
    residual = (hits[seen] - expected[seen]) / np.sqrt(dispersion * expected[seen])
    spread = float(np.median(np.abs(np.diff(residual)))) / 0.954  # of differences, so that the change itself does not widen it
    residual = residual / max(spread, 0.1)
    search = ruptures.KernelCPD(kernel="linear", min_size=MIN_SEGMENT).fit(residual[:, None])
    cuts = search.predict(pen=3 * float(np.log(len(residual))))[:-1]
    if not cuts:
        return None
    before = cuts[-2] if len(cuts) > 1 else 0
    part = residual[before:]
    total, size = np.cumsum(part), len(part)
    split = np.arange(MIN_SEGMENT, size - MIN_SEGMENT + 1)
    gain = total[split - 1] ** 2 / split + (total[-1] - total[split - 1]) ** 2 / (size - split)
    best = int(np.argmax(gain))
    near = split[gain >= gain[best] - WITHIN_95]
    cut = int(split[best])
    contrast = part[cut:].mean() - part[:cut].mean()
    z = float(contrast / np.sqrt(1 / cut + 1 / (size - cut)))
    first = minutes[before:]
    return Change(int(first[cut]), int(first[near[0]]), int(first[near[-1]]), z)


def signal(minutes: NDArray[np.int64], hits: Floats, expected: Floats, dispersion: float) -> Signal | None:
    """`latest` as a signal; p counts every minute as a possible place of the change (Bonferroni)."""
    change = latest(minutes, hits, expected, dispersion)
    if change is None:
        return None
    p_value = min(1.0, 2 * len(minutes) * float(stats.norm.sf(abs(change.z))))
    return Signal(
        detector="changepoint",
        version=VERSION,
        score=1 - p_value,
        p_value=p_value,
        direction="down" if change.z < 0 else "up",
        minute=int(minutes[-1]),
        text=f"level changed {int(minutes[-1]) - change.minute} minutes ago "
        f"(95 %: {int(minutes[-1]) - change.high} to {int(minutes[-1]) - change.low})",
    )
