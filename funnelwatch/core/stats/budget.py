"""The false-alarm budget of an installation and its spending over streams; false-discovery control by e-values."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MINUTES_A_WEEK = 10_080


def spend(critical: NDArray[np.bool_], per_week: float) -> Floats:
    """Natural log of each stream's mean minutes between false alarms, (S,), so that all together make `per_week` a week.

    Half the budget goes to the `critical` streams, half to the others; all of it to one kind when the other is empty.
    """
    if per_week <= 0:
        raise ValueError(f"the false-alarm budget must be positive, got {per_week}")
    few, many = int(critical.sum()), int((~critical).sum())
    share = np.where(critical, 0.5 / max(few, 1), 0.5 / max(many, 1))
    if few == 0 or many == 0:
        share = share * 2
    return np.asarray(np.log(MINUTES_A_WEEK / (per_week * share)))


def discoveries(log_p: Floats, log_interval: Floats) -> NDArray[np.bool_]:
    """Which streams to name now, (S,): weighted e-BH, valid under any dependence (Wang & Ramdas 2022).

    `log_p` is a bound on the log false-alarm rate a minute at the level seen, `log_interval` the stream's own budget. A stream
    alone must pay its whole interval; among k that are off together each pays a k-th of it.
    """
    surplus = -log_p - log_interval
    order = np.argsort(-surplus)
    passed = np.flatnonzero(surplus[order] + np.log(np.arange(1, len(order) + 1)) >= 0)
    named = np.zeros(len(log_p), bool)
    # k counts only while the strongest pays in full: a crowd of weak streams alone never opens anything
    if len(passed) and surplus[order[0]] >= 0:
        named[order[: passed[-1] + 1]] = True
    return named
