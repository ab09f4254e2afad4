"""The overview's numbers (`Overview` in web/payloads.py), stored once a tick so that the page is one read."""

import json
from collections.abc import Sequence
from typing import Any

from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.series import SeriesKey, SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.detectors import DETECTORS, load
from funnelwatch.pipeline import charts
from funnelwatch.pipeline.funnels import Watched
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import pulse, states

VERSION = 1
SPARK_MINUTES = 180
#: Cohorts shown, and the largest ones looked at for them.
SHOWN = 8
LOOKED_AT = 60
#: Beyond this many standard deviations a cell is worth showing.
NOTABLE = 2.0
#: Days of history after which ranges are no longer called wide.
LEARNING_DAYS = 7


def save(
    client: Client, project: Project, funnel: Watched, baseline: Baseline, window: SeriesWindow, anomalies: Sequence[Anomaly]
) -> None:
    """Write the overview as of the window's last minute. The first funnel by name is the project's headline."""
    now = clock.now()
    keys = [SeriesKey("conversion", a, b, EVERYONE) for a, b in funnel.whole.pairs]
    steps = [charts.overview_step(key, window, baseline, SPARK_MINUTES) for key in keys]
    for step in steps:
        step["worst"] = _worst(step, anomalies)
    beat = pulse.read(client, project.pk, project.currency, clock.to_ms(now), SPARK_MINUTES)
    payload: dict[str, Any] = {
        "at": (int(window.minutes[-1]) + 1) * 60,
        "rolling_minutes": charts.ROLLING,
        "newest_event_at": beat.newest_event_at,
        "watched_cohorts": len({key.cohort for key in window.keys}),
        "rejected": beat.rejected,
        "revenue": {"value": beat.revenue, "expected": None} if beat.revenue is not None else None,
        "steps": steps,
        "cohorts": _cohorts(funnel, window, baseline),
        "events": {
            "x": beat.minutes,
            "band": {"y": beat.per_second, **dict.fromkeys(("expected", "lo", "hi"), [None] * len(beat.minutes))},
            "now": beat.per_second[-1] if beat.per_second else 0.0,
            "channels": beat.channels,
            "late": beat.late,
        },
        "detectors": [
            {"name": name, "version": load(name).VERSION, "series": len(baseline.keys), "ran_at": int(now.timestamp())}
            for name in DETECTORS
        ],
    }
    if beat.history_days < LEARNING_DAYS:
        payload["learning"] = {"day": beat.history_days + 1, "of": LEARNING_DAYS}
    states.save(client, project.pk, "", "overview", VERSION, clock.to_ms(now), json.dumps(payload, allow_nan=False).encode())


def _worst(step: dict[str, Any], anomalies: Sequence[Anomaly]) -> dict[str, Any] | None:
    off = [
        anomaly for anomaly in anomalies
        if anomaly.key.metric == "conversion" and (anomaly.key.step_from, anomaly.key.step_to) == (step["step_from"], step["step_to"])
    ]  # fmt: skip
    if not off:
        return None
    worst = max(off, key=lambda anomaly: abs(anomaly.missing) / max(anomaly.expected * anomaly.trials, 1.0) ** 0.5)
    return {
        "cohort": worst.key.cohort.to_json(), "rate": worst.observed, "expected": worst.expected, "effect": worst.effect,
        "state": "bad" if worst.missing > 0 else "warn",
    }  # fmt: skip


def _cohorts(funnel: Watched, window: SeriesWindow, baseline: Baseline) -> list[dict[str, Any]]:
    """The SHOWN cohorts furthest from expectation among the largest watched."""
    largest: list[Cohort] = []
    for key in window.keys:
        if key.cohort.entries and key.cohort not in largest[-1:] and key.cohort not in largest:
            largest.append(key.cohort)
            if len(largest) == LOOKED_AT:
                break
    pairs = funnel.whole.pairs
    values = charts.sigmas([SeriesKey("conversion", a, b, cohort) for cohort in largest for a, b in pairs], window, baseline, 15)
    rows = []
    for index, cohort in enumerate(largest):
        found = values[index * len(pairs) : (index + 1) * len(pairs)]
        size = max((abs(value) for value in found if value is not None), default=0.0)
        if size >= NOTABLE:
            rows.append((size, {"cohort": cohort.to_json(), "sigmas": found}))
    return [row for _, row in sorted(rows, key=lambda pair: -pair[0])[:SHOWN]]
