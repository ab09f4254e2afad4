"""What kind of trouble: judged from all that is off together, the steps' order and the cohorts below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from funnelwatch.core.series import SeriesKey
from funnelwatch.core.signals import Anomaly
from funnelwatch.core.vocabulary import IncidentKind
from funnelwatch.detect.expect import Expectation
from funnelwatch.detect.roster import Roster

#: A volume below this share of what is due has stopped rather than fallen.
STOPPED = 0.02
#: Children must hold this share of a parent's trials to speak for it.
COVERED = 0.8
#: The change is one of mix when that explains at least half of it and what is left is noise (in standard deviations) or trivial.
MIX_SHARE, NOISE, TRIVIAL = 0.5, 3.0, 0.05
#: Two effects cancel when their product is this near to 1: a step lost between two that agree, or traffic that never buys.
CANCEL = 0.15
#: Below this, a surplus of traffic does not explain a rate.
SURGE = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """A change of hits against the expectation, in the part due to rates and the part due to the mix of cohorts (missing hits).

    `due`: hits expected of the mix as it is.
    """

    rate: float
    mix: float
    due: float

    @property
    def only_mix(self) -> bool:
        """Whether every cell kept its rate."""
        noise = max(NOISE * math.sqrt(max(self.due, 0.0)), TRIVIAL * self.due)
        return abs(self.rate) <= noise and abs(self.mix) >= MIX_SHARE * abs(self.mix + self.rate)


def classify(anomalies: Sequence[Anomaly], seen: Expectation, cast: Roster, known_until: int) -> list[Anomaly]:
    """The anomalies with their `kind`. Only errors, rates, volumes and silences are trouble of the shop; mix, bot and late data are not."""
    if not anomalies:
        return []
    off = {anomaly.key: anomaly for anomaly in anomalies}
    return [replace(anomaly, kind=_kind(anomaly, off, cast, seen, known_until)) for anomaly in anomalies]


def _kind(anomaly: Anomaly, off: dict[SeriesKey, Anomaly], cast: Roster, seen: Expectation, known_until: int) -> IncidentKind:
    if anomaly.key.metric == "errors":
        return "error"
    if anomaly.key.metric == "volume":
        if known_until < anomaly.minute and anomaly.effect < 0:
            return "late_data"
        if 1 + anomaly.effect < STOPPED:
            return "silence"
        return "bot" if _buys_nothing(anomaly, off) else "volume"
    if _step_vanished(anomaly, off):
        return "tracking"
    if _crowded(anomaly, off):
        return "bot"
    parts = split(anomaly, cast, seen)
    return "mix" if parts is not None and parts.only_mix else "rate"


def split(anomaly: Anomaly, cast: Roster, seen: Expectation) -> Split | None:
    """Missing hits since onset (as far as `seen` reaches) by rate and mix, along the dimension whose cells explain most.

    None where no dimension's cells cover the series: then nothing can be said and the whole counts as rate.
    """
    span = seen.minutes >= anomaly.onset
    row = cast.row[anomaly.key]
    due, hits = float(seen.expected[row, span].sum()), float(seen.hits[row, span].sum())
    trials = float(seen.due_trials[row, span].sum())
    best: Split | None = None
    if trials <= 0:  # a quiet night: nobody has come as far as `seen` reaches
        return None
    for cells in cast.cells.get(anomaly.key, {}).values():
        covered = float(seen.due_trials[cells][:, span].sum())
        if not COVERED * trials <= covered <= 1.02 * trials:
            continue
        # what the cells do not cover is taken at the series' own rate
        own = float(seen.expected[cells][:, span].sum()) + due * max(1 - covered / trials, 0.0)
        parts = Split(rate=own - hits, mix=due - own, due=own)
        if best is None or abs(parts.rate) < abs(best.rate):
            best = parts
    return best


def _step_vanished(anomaly: Anomaly, off: dict[SeriesKey, Anomaly]) -> bool:
    """The step's events fall while the next step goes on: into it the rate falls by what it rises out of it."""
    for other in off.values():
        if other.key.metric != "conversion" or other.key.cohort != anomaly.key.cohort:
            continue
        into, out = (anomaly, other) if anomaly.key.step_to == other.key.step_from else (other, anomaly)
        if into.key.step_to == out.key.step_from and into.effect < 0 < out.effect and _cancel(into, out):
            return True
    return False


def _crowded(anomaly: Anomaly, off: dict[SeriesKey, Anomaly]) -> bool:
    """The rate fell by what the step's traffic rose: nobody buys less, a crowd came that buys nothing."""
    traffic = off.get(replace(anomaly.key, metric="volume", step_to=""))
    return traffic is not None and traffic.effect > SURGE and anomaly.effect < 0 and _cancel(anomaly, traffic)


def _buys_nothing(anomaly: Anomaly, off: dict[SeriesKey, Anomaly]) -> bool:
    return anomaly.effect > SURGE and any(
        other.key.metric == "conversion" and other.key.step_from == anomaly.key.step_from and _crowded(other, {anomaly.key: anomaly})
        for other in off.values()
        if other.key.cohort == anomaly.key.cohort
    )


def _cancel(one: Anomaly, other: Anomaly) -> bool:
    return abs((1 + one.effect) * (1 + other.effect) - 1) <= CANCEL
