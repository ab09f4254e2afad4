"""One diagnosis from its tables: locate, rank, price."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from funnelwatch.core import clock
from funnelwatch.core.changes import Change
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import Diagnosis, Evidence, LeafTable, RankedCause, SessionTable, Signature
from funnelwatch.core.signals import Anomaly
from funnelwatch.diagnose import causes, explain, impact
from funnelwatch.diagnose.localise import Located, locate


@dataclass(frozen=True, slots=True)
class Material:
    """What a diagnosis may ask for once it knows the cohort: each a query bound to project, run and time."""

    signatures: Callable[[Cohort], Sequence[Signature]]
    loss: Callable[[Cohort], impact.Loss]
    sessions: Callable[[Cohort], SessionTable | None]


def diagnose(anomaly: Anomaly, table: LeafTable, changes: Sequence[Change], material: Material) -> Diagnosis:
    """Localise the anomaly among the leaves of its step, rank the causes for that cohort and say what it costs.

    A series that counts arrivals has no share to compare between leaves: it keeps its own cohort.
    """
    if anomaly.key.metric in ("conversion", "errors"):
        best, path = locate(table, "down" if anomaly.missing >= 0 else "up", anomaly.key.cohort)
    else:
        best = Located(anomaly.key.cohort, 1.0, anomaly.expected, anomaly.observed, anomaly.trials, 0.0)
        path = (best,)
    onset = causes.Onset(
        clock.from_minute(anomaly.onset),
        clock.from_minute(anomaly.onset_interval[0]),
        clock.from_minute(anomaly.onset_interval[1] + 1),
    )
    ranked = causes.rank(onset, best.cohort, table, changes, material.signatures(best.cohort))
    return Diagnosis(
        cohort=best.cohort,
        step_from=anomaly.key.step_from,
        step_to=anomaly.key.step_to,
        explained=best.explained,
        causes=_with_shap(ranked, material.sessions(best.cohort)),
        impact=impact.estimate(material.loss(best.cohort)),
        path=tuple(_station(located) for located in path),
    )


def _station(located: Located) -> dict[str, object]:
    return {
        "cohort": located.cohort.to_json(),
        "rate": located.observed,
        "expected": located.expected,
        "explained": min(max(located.explained, 0.0), 1.0),
        "sessions": located.trials,
    }


def _with_shap(ranked: tuple[RankedCause, ...], sessions: SessionTable | None) -> tuple[RankedCause, ...]:
    """The session model's account is evidence of the leading cause; it weighs nothing, it shows the mechanism."""
    lines = explain.contributions(sessions) if sessions is not None else ()
    if not lines:
        return ranked
    text = ", ".join(f"{line.feature} {line.points * 100:+.1f} points" for line in lines[:3])
    data = {
        "contributions": [
            {"feature": line.feature, "points": line.points, "before": line.before, "since": line.since} for line in lines
        ]
    }
    shown = Evidence("shap", f"What moved the predicted conversion: {text}", 0.0, data)
    return (replace(ranked[0], evidence=(*ranked[0].evidence, shown)), *ranked[1:])
