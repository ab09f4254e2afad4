"""Rank the causes of an incident: every change in the ledger near the onset, and "unknown", in one race.

log posterior = prior guilt of the kind + time + scope + control + mechanism; the probabilities of all candidates and
"unknown" sum to one. A candidate that cannot be it (it began after the drop, it never reached the broken cohort) is out of
the race and shown with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, log

import numpy as np
from scipy import stats

from funnelwatch.core.changes import Change
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import Evidence, LeafTable, RankedCause, Signature
from funnelwatch.diagnose.mechanism import GUILT, LIKELIHOOD, MEAN_LAG, SILENT

#: Share of incidents whose cause is in no ledger (the design's benchmark assumes one in five). Their onset is equally likely
#: at any minute of the look-back, and the more changes a shop makes, the likelier one stands near the onset by chance.
UNKNOWN_SHARE = 0.2
LOOK_BACK_MINUTES = 24 * 60.0
#: Slack for clocks of the change's source against ours.
CLOCK_SLACK_MINUTES = 3.0
#: A cohort this much outside a change's reach cannot be its doing.
MIN_OVERLAP = 0.2
#: An error class counts as risen when it at least doubles and is seen this often.
MIN_ERRORS = 5
#: Rejected causes shown; more would hide the useful ones.
MAX_REJECTED = 5


@dataclass(frozen=True, slots=True)
class Onset:
    """When the trouble began: the best minute with its 95 % interval, aware UTC."""

    at: datetime
    earliest: datetime
    latest: datetime


def rank(
    onset: Onset, cohort: Cohort, table: LeafTable, changes: Sequence[Change], signatures: Sequence[Signature]
) -> tuple[RankedCause, ...]:
    """Causes by falling probability, "unknown" among them, the rejected ones last with probability 0."""
    risen = [s for s in signatures if s.count >= MIN_ERRORS and s.since >= 2.0 * s.before]
    racing: list[tuple[float, Change | None, tuple[Evidence, ...]]] = []
    rejected: list[tuple[float, RankedCause]] = []
    for change in changes:
        reason = _impossible(change, onset, cohort, table)
        if reason:
            distance = abs((change.started_at - onset.at).total_seconds())
            rejected.append((distance, _cause(change, 0.0, (), reason)))
            continue
        evidence = (
            _time(change, onset),
            _scope(change, cohort, table),
            *_control(change, table),
            _mechanism(change, risen),
        )
        racing.append((log(GUILT[change.kind]) + sum(item.weight for item in evidence), change, evidence))
    odds = UNKNOWN_SHARE / (1.0 - UNKNOWN_SHARE)
    racing.append((log(odds * max(len(changes), 1)), None, ()))
    probabilities = _softmax([score for score, _, _ in racing])
    ranked = [
        _cause(change, probability, evidence) for probability, (_, change, evidence) in zip(probabilities, racing, strict=True)
    ]
    ranked.sort(key=lambda cause: -cause.probability)
    return (*ranked, *(cause for _, cause in sorted(rejected, key=lambda pair: pair[0])[:MAX_REJECTED]))


def _cause(change: Change | None, probability: float, evidence: tuple[Evidence, ...], rejected: str = "") -> RankedCause:
    if change is None:
        return RankedCause("unknown", "Something else or unknown", probability, evidence)
    return RankedCause(change.kind, change.title, probability, evidence, change.id, change.external_id, rejected)


def _softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    weights = [exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def _minutes(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds() / 60.0


def _impossible(change: Change, onset: Onset, cohort: Cohort, table: LeafTable) -> str:
    late = _minutes(change.started_at, onset.latest)
    if late > CLOCK_SLACK_MINUTES:
        return f"It began {late:.0f} min after the drop had begun"
    if change.ended_at is not None and _minutes(onset.earliest, change.ended_at) > MEAN_LAG[change.kind]:
        return f"It had ended {_minutes(onset.at, change.ended_at):.0f} min before the drop"
    overlap = _overlap(change, cohort, table)
    if overlap < MIN_OVERLAP:
        return f"It reached only {overlap:.0%} of the shoppers affected"
    return ""


def _scope_mask(change: Change, table: LeafTable) -> np.ndarray:
    return table.mask(Cohort.of((dimension, value) for dimension, values in change.scope.items() for value in values))


def _overlap(change: Change, cohort: Cohort, table: LeafTable) -> float:
    """Share of the broken cohort's sessions that the change reached; by names where the table lacks a dimension."""
    for dimension, values in change.scope.items():
        named = cohort.values(dimension)
        if named and dimension not in table.dimensions and not set(named) & set(values):
            return 0.0
    inside = table.mask(cohort)
    total = table.trials[inside].sum()
    return float(table.trials[inside & _scope_mask(change, table)].sum() / total) if total else 1.0


def _time(change: Change, onset: Onset) -> Evidence:
    """The lag from change to onset, averaged over the onset interval: exponential with the kind's mean lag, against any time."""
    mean = MEAN_LAG[change.kind]
    lags = np.linspace(
        _minutes(onset.earliest, change.started_at), _minutes(onset.latest, change.started_at) + 1e-6, 25
    )
    spread = np.where(lags >= 0, np.exp(-np.maximum(lags, 0) / mean), np.exp(np.minimum(lags, 0) / CLOCK_SLACK_MINUTES) * 0.5) / mean
    # A rollout may bite late: a floor at a fiftieth of the flat rate over the look-back.
    density = float(max(spread.mean(), 0.02 / LOOK_BACK_MINUTES))
    lag = _minutes(onset.at, change.started_at)
    when = f"{lag:.0f} min before the drop" if lag >= 1 else "in the minute of the drop" if lag > -1 else f"{-lag:.0f} min after its first sign"
    return Evidence("time", f"Began {when}", log(density * LOOK_BACK_MINUTES), {"lag_minutes": round(lag, 1), "mean_lag": mean})


def _scope(change: Change, cohort: Cohort, table: LeafTable) -> Evidence:
    """How well the change's reach equals the broken cohort (Jaccard over sessions)."""
    inside, reached = table.mask(cohort), _scope_mask(change, table)
    both, either = table.trials[inside & reached].sum(), table.trials[inside | reached].sum()
    jaccard = float(both / either) if either else 0.0
    overlap = _overlap(change, cohort, table)
    if not change.scope:
        # A change for everyone often breaks one browser only: half a point against it, no more.
        weight = log(max(jaccard, 0.6))
        text = "It reached everyone, so also the shoppers affected"
    else:
        weight = log(overlap) + log(max(jaccard, 0.25)) + 0.7
        text = f"It reached {overlap:.0%} of the shoppers affected; reach and broken group overlap by {jaccard:.0%}"
    return Evidence("scope", text, weight, {"overlap": round(overlap, 3), "jaccard": round(jaccard, 3)})


def _control(change: Change, table: LeafTable) -> tuple[Evidence, ...]:
    """Difference in differences: conversion before and since, inside the change's reach against outside it."""
    reached = _scope_mask(change, table)
    if not change.scope or reached.all() or not reached.any():
        return ()
    inside, outside = _log_change(table, reached), _log_change(table, ~reached)
    if inside is None or outside is None:
        return ()
    difference = inside[0] - outside[0]
    z = difference / (inside[1] + outside[1]) ** 0.5
    # Bounded: one control is one line of evidence, not the verdict.
    weight = float(np.clip(-z / 2.0, -2.0, 2.0))
    text = (
        f"Conversion changed {np.expm1(inside[0]):+.0%} where it reached and {np.expm1(outside[0]):+.0%} where it did not"
    )
    data = {"inside": round(float(np.expm1(inside[0])), 4), "outside": round(float(np.expm1(outside[0])), 4),
            "p_value": float(2 * stats.norm.sf(abs(z)))}  # fmt: skip
    return (Evidence("control", text, weight, data),)


def _log_change(table: LeafTable, mask: np.ndarray) -> tuple[float, float] | None:
    """Log ratio of the rates since and before with its variance (delta method, half-count corrected)."""
    n0, h0, n1, h1 = (float(array[mask].sum()) for array in (table.base_trials, table.base_hits, table.trials, table.hits))
    if n0 < 10 or n1 < 10:
        return None
    h0, h1, n0, n1 = h0 + 0.5, h1 + 0.5, n0 + 1.0, n1 + 1.0
    variance = max(1 / h0 - 1 / n0, 1e-6) + max(1 / h1 - 1 / n1, 1e-6)
    return log(h1 / n1) - log(h0 / n0), variance


def _mechanism(change: Change, risen: Sequence[Signature]) -> Evidence:
    if not risen:
        weight = log(SILENT[change.kind])
        return Evidence("mechanism", "No error class rose in the affected group", weight, {})
    strongest = max(risen, key=lambda signature: signature.since - signature.before)
    weight = log(LIKELIHOOD[strongest.event].get(change.kind, 1.0))
    name = f"{strongest.event} {strongest.code}".strip()
    text = f"{name} rose from {strongest.before:.1%} to {strongest.since:.1%} of sessions ({strongest.count} seen)"
    data = {"event": strongest.event, "code": strongest.code, "before": strongest.before, "since": strongest.since,
            "count": strongest.count}  # fmt: skip
    return Evidence("mechanism", text, weight, data)
