"""From the anomalies of one tick to findings: which of them are one fault, which cohort it hits, what caused it, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from funnelwatch.changes import ledger
from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.diagnosis import Finding, LeafTable
from funnelwatch.core.series import SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.core.vocabulary import MULTI_DIMENSIONS
from funnelwatch.detect.baseline import Baseline
from funnelwatch.diagnose.impact import Loss
from funnelwatch.diagnose.run import Material, diagnose
from funnelwatch.pipeline import charts
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
#: Minutes after an anomaly's first diagnosis at which it is diagnosed again: early numbers move fast.
AGAIN_AFTER = (1, 2, 3, 5, 8, 12, 20, 30)
AGAIN_EVERY = 30
CHANGES_BEFORE = timedelta(hours=24)


@dataclass
class Agenda:
    """When each anomaly was first diagnosed, so that a tick looks only at what is new or due again."""

    first: dict[object, int] = field(default_factory=dict)

    def due(self, anomalies: Sequence[Anomaly], minute: int) -> bool:
        """Whether any of the anomalies is to be diagnosed at `minute`; forgets those that ended."""
        self.first = {anomaly.key: self.first.get(anomaly.key, minute) for anomaly in anomalies}
        ages = {minute - first for first in self.first.values()}
        return any(age == 0 or age in AGAIN_AFTER or (age > AGAIN_AFTER[-1] and age % AGAIN_EVERY == 0) for age in ages)


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
    while left and len(findings) < MOST_FAULTS:
        chief, rest = left[0], left[1:]
        period = _period(desk, chief)
        table = _table(desk, period, chief)
        diagnosis = diagnose(chief, table, _changes(desk, chief), _material(desk, chief, period, table))
        traces = [other for other in rest if _is_trace(other, chief, diagnosis.cohort, table)]
        worth = evidence.worth(desk.client, period, diagnosis.cohort, desk.project.currency)
        named = _named(chief, diagnosis.cohort, rest, table)
        chart = charts.incident_chart(named, diagnosis.cohort, _chart_window(desk, named, diagnosis.cohort, window), desk.baseline, worth.mean)
        findings.append(Finding(funnel=desk.funnel.whole, anomaly=named, diagnosis=diagnosis, others=tuple(traces), chart=chart))
        left = [other for other in rest if other not in traces]
    return findings


def _weight(anomaly: Anomaly) -> float:
    """Surprise in standard deviations: how clearly off, so that the purest cohort speaks first and not the widest."""
    due = max(anomaly.expected * anomaly.trials, 1.0)
    return abs(anomaly.missing) / due**0.5


def _multi(cohort: Cohort) -> str:
    return next((name for name in cohort.dimensions if name in MULTI_DIMENSIONS), "")


def _period(desk: Desk, anomaly: Anomaly) -> Period:
    key = anomaly.key
    return Period(desk.funnel.collected, desk.run_id, key.step_from, key.step_to or key.step_from, 0, anomaly.onset, desk.minute, _multi(key.cohort))


def _table(desk: Desk, period: Period, anomaly: Anomaly) -> LeafTable:
    """Leaves against the shortest base with enough sessions, scaled to the rate the baseline expects at this time of week."""
    table = None
    for days in BASE_DAYS:
        table = evidence.leaves(desk.client, replace(period, base_from=max(anomaly.onset - days * 1440, 0)))
        if table.base_trials.sum() >= BASE_TRIALS:
            break
    assert table is not None
    inside = table.mask(anomaly.key.cohort)
    base = table.base_hits[inside].sum() / max(table.base_trials[inside].sum(), 1.0)
    if anomaly.key.metric != "conversion" or base <= 0:
        return table
    factor = float(np.clip(anomaly.expected / base, 0.5, 2.0))
    return replace(table, base_hits=np.minimum(table.base_hits * factor, table.base_trials))


def _changes(desk: Desk, anomaly: Anomaly) -> list:
    onset = clock.from_minute(anomaly.onset)
    return list(ledger.near(desk.project, onset - CHANGES_BEFORE, clock.now(), as_of=clock.now()))


def _material(desk: Desk, anomaly: Anomaly, period: Period, table: LeafTable) -> Material:
    base = replace(period, base_from=max(anomaly.onset - 1440, 0))
    return Material(
        signatures=lambda cohort: evidence.signatures(desk.client, base, cohort),
        loss=lambda cohort: _loss(
            desk, anomaly, cohort, table, evidence.worth(desk.client, replace(period, base_from=max(anomaly.onset - 7 * 1440, 0)), cohort, desk.project.currency)
        ),
        sessions=lambda cohort: evidence.features(desk.client, base, cohort) if anomaly.key.metric == "conversion" else None,
    )


def _loss(desk: Desk, anomaly: Anomaly, cohort: Cohort, table: LeafTable, worth: Worth) -> Loss:
    """Conversions due and made in the located cohort since onset. Errors cost what they keep from converting: their step's loss."""
    inside = table.mask(cohort)
    rate = table.base_hits[inside].sum() / max(table.base_trials[inside].sum(), 1.0)
    trials, hits = float(table.trials[inside].sum()), float(table.hits[inside].sum())
    variance = (trials**2) * rate * (1.0 - min(rate, 1.0)) / max(float(table.base_trials[inside].sum()), 1.0)
    return Loss(
        expected=trials * float(rate),
        expected_variance=float(variance),
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
    """Whether what is off in `other` lies inside the located cohort: outside it the deficit is noise.

    Steps further down starve when an upper one breaks, and errors rise where conversion falls: an anomaly at another step
    is judged by its cohort alone.
    """
    mask = table.mask(other.key.cohort)
    if not mask.any():
        return False
    inside = mask & table.mask(cohort)
    if other.key.metric != "conversion" or other.key.step != chief.key.step:
        share = table.trials[inside].sum() / max(table.trials[mask].sum(), 1.0)
        return bool(share >= 0.5 or table.mask(other.key.cohort)[table.mask(cohort)].all())
    rest = mask & ~inside
    rate = table.base_hits / np.maximum(table.base_trials, 1.0)
    due = float((table.trials * rate)[rest].sum())
    return abs(due - float(table.hits[rest].sum())) / max(due, 1.0) ** 0.5 < TRACE_Z


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
