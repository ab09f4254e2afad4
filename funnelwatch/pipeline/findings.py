"""From the anomalies of one tick to findings: which of them are one fault, which cohort it hits, what caused it, what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial

import numpy as np

from funnelwatch.changes import ledger
from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.diagnosis import Diagnosis, Finding, LeafTable
from funnelwatch.core.series import SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.core.vocabulary import MULTI_DIMENSIONS
from funnelwatch.detect.baseline import Baseline
from funnelwatch.diagnose.impact import Loss
from funnelwatch.diagnose.localise import LEAST_MISSES
from funnelwatch.diagnose.run import Material, diagnose
from funnelwatch.incidents.matching import disjoint
from funnelwatch.pipeline import charts, presence
from funnelwatch.pipeline.funnels import Watched
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import evidence, rollups
from funnelwatch.store.queries.evidence import Period, Worth

#: Faults diagnosed a tick, the largest first; the others keep until the next.
MOST_FAULTS = 4
#: Base periods tried in turn (days before the onset), until one has this many sessions at the step.
BASE_DAYS = (1, 7, 28)
BASE_TRIALS = 3_000.0
#: An anomaly that keeps less than this many standard deviations outside the located cohort is a trace of the same fault.
TRACE_Z = 3.0
TRACE_SHARE = 0.5
#: Minutes after an anomaly's first diagnosis at which it is diagnosed again: early numbers move fast.
AGAIN_AFTER = (1, 2, 3, 5, 8, 12, 20, 30)
AGAIN_EVERY = 30
CHANGES_BEFORE = timedelta(hours=24)


@dataclass
class Agenda:
    """When to diagnose: at once what is new, and what runs again at AGAIN_AFTER, since a diagnosis costs a thousand judgements."""

    since: int = -1
    known: set[Cohort] = field(default_factory=set)

    def due(self, anomalies: Sequence[Anomaly], minute: int) -> bool:
        """Whether to diagnose at `minute`. A new anomaly that may be a trace of what was found waits for the next turn."""
        if not anomalies:
            self.since, self.known = -1, set()
            return False
        if self.since < 0:
            self.since = minute
            return True
        age = minute - self.since
        if age in AGAIN_AFTER or (age > AGAIN_AFTER[-1] and age % AGAIN_EVERY == 0):
            return True
        new = {anomaly.key.cohort for anomaly in anomalies} - self.known
        return any(all(disjoint(cohort, other) for other in self.known) for cohort in new)

    def found(self, findings: Sequence[Finding], anomalies: Sequence[Anomaly]) -> None:
        """Note what the diagnosis covered: the cohorts named, and those of anomalies it left for later."""
        self.known |= {finding.diagnosis.cohort for finding in findings} | {anomaly.key.cohort for anomaly in anomalies}


@dataclass(frozen=True)
class Desk:
    """What diagnosing one funnel's tick needs."""

    client: Client
    project: Project
    funnel: Watched
    run_id: str
    baseline: Baseline
    minute: int


def find(desk: Desk, anomalies: Sequence[Anomaly], window: SeriesWindow) -> list[Finding]:
    """One finding a fault, largest first. Anomalies that a located cohort explains are its traces, not faults of their own."""
    left = sorted(anomalies, key=_weight, reverse=True)
    findings: list[Finding] = []
    for _ in range(MOST_FAULTS):
        if not left:
            break
        chief, rest = left[0], left[1:]
        period, table = _table(desk, chief)
        worth = cache(partial(evidence.worth, desk.client, replace(period, error=""), currency=desk.project.currency))
        diagnosis = diagnose(chief, table, _changes(desk, chief), _material(desk, chief, period, table, worth))
        traces = [other for other in rest if _is_trace(other, chief, diagnosis.cohort, table)]
        left = [other for other in rest if other not in traces]
        named = _named(chief, diagnosis.cohort, rest, table)
        if _is_old_news(named, diagnosis, findings, window, desk.baseline):
            continue
        shown = _chart_window(desk, named, diagnosis.cohort, window)
        order_value = worth(diagnosis.cohort).mean if named.key.metric == "conversion" else 0.0
        chart = charts.incident_chart(named, diagnosis.cohort, shown, desk.baseline, order_value)
        findings.append(Finding(funnel=desk.funnel.whole, anomaly=named, diagnosis=diagnosis, others=tuple(traces), chart=chart))
    return findings


def _is_old_news(
    named: Anomaly, diagnosis: Diagnosis, findings: Sequence[Finding], window: SeriesWindow, baseline: Baseline
) -> bool:
    """Whether the cohort named has been named by a larger anomaly, or is itself back to normal and only its traces linger."""
    if any(f.diagnosis.cohort == diagnosis.cohort and f.anomaly.key.step == named.key.step for f in findings):
        return True
    own = replace(named, key=replace(named.key, cohort=diagnosis.cohort))
    return not presence.present([own], window, baseline)


def _weight(anomaly: Anomaly) -> tuple[bool, float]:
    """Lost conversions speak before errors and volumes: they are the harm. Then surprise in standard deviations: how clearly
    off, so that the purest cohort speaks and not the widest."""
    lost = anomaly.key.metric == "conversion"
    chance = anomaly.expected * anomaly.trials * (max(1.0 - anomaly.expected, LEAST_MISSES) if lost else 1.0)
    return lost, abs(anomaly.missing) / max(chance, 1.0) ** 0.5


def _multi(cohort: Cohort) -> str:
    return next((name for name in cohort.dimensions if name in MULTI_DIMENSIONS), "")


def _period(desk: Desk, anomaly: Anomaly, days: int) -> Period:
    key = anomaly.key
    return Period(
        desk.funnel.collected, desk.run_id, key.step_from, key.step_to or key.step_from, max(anomaly.onset - days * 1440, 0),
        anomaly.onset, desk.minute, _multi(key.cohort), key.error,
    )  # fmt: skip


def _table(desk: Desk, anomaly: Anomaly) -> tuple[Period, LeafTable]:
    """The shortest base period with enough sessions, and its leaves scaled to what the baseline expects at this time of week."""
    for days in BASE_DAYS:
        period = _period(desk, anomaly, days)
        table = evidence.leaves(desk.client, period)
        if table.base_trials.sum() >= BASE_TRIALS:
            break
    inside = table.mask(anomaly.key.cohort)
    base = table.base_hits[inside].sum() / max(table.base_trials[inside].sum(), 1.0)
    if anomaly.key.metric != "conversion" or base <= 0:
        return period, table
    factor = float(np.clip(anomaly.expected / base, 0.5, 2.0))
    return period, replace(table, base_hits=np.minimum(table.base_hits * factor, table.base_trials))


def _changes(desk: Desk, anomaly: Anomaly) -> list:
    onset = clock.from_minute(anomaly.onset)
    return list(ledger.near(desk.project, onset - CHANGES_BEFORE, clock.now(), as_of=clock.now()))


def _material(desk: Desk, anomaly: Anomaly, period: Period, table: LeafTable, worth: Callable[[Cohort], Worth]) -> Material:
    # errors are the first sign; what they cost are the conversions of the same step
    lost_from = table if anomaly.key.metric != "errors" else evidence.leaves(desk.client, replace(period, error=""))
    return Material(
        signatures=lambda cohort: evidence.signatures(desk.client, period, cohort),
        loss=lambda cohort: _loss(desk, anomaly, cohort, lost_from, worth(cohort)),
        sessions=lambda cohort: evidence.features(desk.client, period, cohort) if anomaly.key.metric == "conversion" else None,
    )


def _loss(desk: Desk, anomaly: Anomaly, cohort: Cohort, table: LeafTable, worth: Worth) -> Loss:
    """Conversions due and made in the located cohort since onset. Traffic has none to lose at its step."""
    if anomaly.key.step_to:
        inside = table.mask(cohort)
        base = max(float(table.base_trials[inside].sum()), 1.0)
        rate = float(table.base_hits[inside].sum()) / base
        trials, hits = float(table.trials[inside].sum()), float(table.hits[inside].sum())
    else:
        base, rate, trials, hits = 1.0, 0.0, 0.0, 0.0
    return Loss(
        expected=trials * rate,
        expected_variance=trials**2 * rate * (1.0 - min(rate, 1.0)) / base,
        observed=hits,
        later_trials=worth.later_trials,
        later_hits=worth.later_hits,
        minutes=float(desk.minute + 1 - anomaly.onset),
        currency=worth.currency,
        order_mean=worth.mean,
        order_sd=worth.sd,
        orders=worth.orders,
    )


def _is_trace(other: Anomaly, chief: Anomaly, cohort: Cohort, table: LeafTable) -> bool:
    """Whether what is off in `other` is the located cohort's doing.

    At the same step: outside the cohort its deficit is noise, or the lesser part. Elsewhere (steps further down starve, errors
    rise where conversion falls): the two groups are mostly the same shoppers, or one holds the other.
    """
    mask, named = table.mask(other.key.cohort), table.mask(cohort)
    inside = mask & named
    if not inside.any():
        return False
    if other.key.metric != "conversion" or other.key.step != chief.key.step:
        common = table.trials[inside].sum()
        return bool(common >= TRACE_SHARE * min(table.trials[mask].sum(), table.trials[named].sum()))
    rest = mask & ~inside
    due = table.trials * table.base_hits / np.maximum(table.base_trials, 1.0)
    due *= table.hits[~named].sum() / max(float(due[~named].sum()), 1.0) if not named.all() else 1.0
    outside, within = (float((due - table.hits)[part].sum()) for part in (rest, inside))
    chance = due * np.maximum(1.0 - due / np.maximum(table.trials, 1e-9), LEAST_MISSES)
    noise = max(float(chance[rest].sum()), 1.0) ** 0.5
    return abs(outside) < TRACE_Z * noise or abs(outside) < abs(within)


def _named(chief: Anomaly, cohort: Cohort, rest: Sequence[Anomaly], table: LeafTable) -> Anomaly:
    """The anomaly of the located cohort: its own series where it is watched and off, else the chief with the leaves' numbers."""
    if chief.key.cohort == cohort:
        return chief
    same = next((a for a in rest if a.key == replace(chief.key, cohort=cohort)), None)
    if same is not None:
        return same
    if chief.key.metric != "conversion":
        return chief
    inside = table.mask(cohort)
    trials, hits = float(table.trials[inside].sum()), float(table.hits[inside].sum())
    expected = float(table.base_hits[inside].sum() / max(table.base_trials[inside].sum(), 1.0))
    observed = hits / max(trials, 1.0)
    half = 1.96 * (max(observed * (1 - observed), 1e-4) / max(trials, 1.0)) ** 0.5
    return replace(
        chief,
        expected=expected,
        observed=observed,
        interval=(max(observed - half, 0.0), min(observed + half, 1.0)),
        effect=observed / max(expected, 1e-9) - 1.0,
        missing=trials * expected - hits,
        trials=trials,
    )


def _chart_window(desk: Desk, anomaly: Anomaly, cohort: Cohort, window: SeriesWindow) -> SeriesWindow:
    """The window's own rows where it has them; else read for the cohort, so that the chart is of the cohort named."""
    keys = (replace(anomaly.key, cohort=cohort), replace(anomaly.key, cohort=EVERYONE))
    if all(key in window.keys for key in keys):
        return window
    return rollups.window(
        desk.client, desk.funnel.collected, desk.run_id, desk.minute, len(window.minutes), desk.minute, keys=(*keys, anomaly.key)
    )
