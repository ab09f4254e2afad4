"""Which anomalies are still there: those of a fault that is over go out one by one, the smallest series last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import Floats, SeriesKey, SeriesWindow, positions
from funnelwatch.core.signals import Anomaly
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.expect import expect

#: Over: the last minutes, however many, are so many times likelier if all is normal. A group that fell by a fifth has to show about
#: 220 expected hits for that, one that fell by four fifths 6.
BACK_ODDS = 100.0
#: A series speaks for the anomaly when its last minutes are e times likelier with it.
SPEAKING_MINUTES, SPEAKING_NATS = 20, 1.0
#: What has been gone for this long is over, and comes back only by speaking up as clearly as it went.
GONE_MINUTES = 20


@dataclass(frozen=True, slots=True)
class Memory:
    """`off`: all series that were off since all was well. `gone`: of those still open, since which minute they are not present."""

    off: frozenset[SeriesKey]
    gone: Mapping[SeriesKey, int]


NOTHING = Memory(frozenset(), MappingProxyType({}))


def present(anomalies: Sequence[Anomaly], window: SeriesWindow, baseline: Baseline) -> list[Anomaly]:
    """Those that are not over, those included whose series has nothing to say."""
    return [anomaly for anomaly, _ in _judged(anomalies, window, baseline)]


def standing(
    anomalies: Sequence[Anomaly], memory: Memory, window: SeriesWindow, baseline: Baseline
) -> tuple[list[Anomaly], Memory]:
    """Those that are present, but for what has been gone for a while and for parts of a group that is back, where these have
    nothing to say; and what to remember for the next minute."""
    minute = int(window.minutes[-1])
    judged = _judged(anomalies, window, baseline)
    running = {anomaly.key for anomaly, _ in judged}
    back: dict[tuple[str, ...], list[Cohort]] = {}
    for key in memory.off - running:
        back.setdefault(_series(key), []).append(key.cohort)
    standing = []
    for anomaly, nats in judged:
        long_gone = minute - memory.gone.get(anomaly.key, minute) >= GONE_MINUTES
        part = any(wider.contains(anomaly.key.cohort) for wider in back.get(_series(anomaly.key), ()))
        if nats > (np.log(BACK_ODDS) if long_gone else SPEAKING_NATS if part else -np.inf):
            standing.append(anomaly)
    there = {anomaly.key for anomaly in standing}
    gone = {anomaly.key: memory.gone.get(anomaly.key, minute) for anomaly in anomalies if anomaly.key not in there}
    off = memory.off | {anomaly.key for anomaly in anomalies} if anomalies else frozenset()
    return standing, Memory(off, gone)


def _judged(anomalies: Sequence[Anomaly], window: SeriesWindow, baseline: Baseline) -> list[tuple[Anomaly, float]]:
    """Each anomaly that is not over, and how much its last minutes speak for it: nats, infinite where its series is unknown."""
    row_of = positions(window.keys)
    rows = [row_of[anomaly.key] for anomaly in anomalies if anomaly.key in row_of]
    if not rows:
        return [(anomaly, np.inf) for anomaly in anomalies]
    part = SeriesWindow(tuple(window.keys[row] for row in rows), window.minutes, window.trials[rows], window.hits[rows])
    seen = expect(baseline, part)
    phi = baseline.phi[baseline.rows(part.keys)]
    at = {key: row for row, key in enumerate(part.keys)}
    kept: list[tuple[Anomaly, float]] = []
    for anomaly in anomalies:
        row = at.get(anomaly.key)
        if row is None:
            kept.append((anomaly, np.inf))
            continue
        since = window.minutes >= anomaly.onset
        nats = _nats(anomaly.effect, seen.hits[row, since], seen.expected[row, since]) / float(phi[row])
        if np.cumsum(nats[::-1]).min(initial=0.0) > -np.log(BACK_ODDS):
            kept.append((anomaly, float(nats[-SPEAKING_MINUTES:].sum())))
    return kept


def _nats(effect: float, hits: Floats, expected: Floats) -> Floats:
    """By minute: for the anomaly, against normal (Poisson)."""
    ratio = max(1.0 + effect, 0.05)
    return np.asarray(hits * np.log(ratio) + expected * (1.0 - ratio))


def _series(key: SeriesKey) -> tuple[str, ...]:
    return key.metric, key.step_from, key.step_to, key.error
