"""The overview: one sentence, then money, steps, open incidents, cohorts, changes, events."""

from typing import Any

from django.db.models import Count

from funnelwatch.core import clock
from funnelwatch.core.cohort import Cohort
from funnelwatch.incidents.models import Feedback, Incident
from funnelwatch.incidents.respond import OPEN
from funnelwatch.projects.models import Project
from funnelwatch.web import format, words
from funnelwatch.web.data import rows, stored, strip
from funnelwatch.web.payloads import Overview, OverviewStep

#: Sigmas beyond which a cell is coloured.
LOUD = 2.0
#: Numbers older than this many seconds are shown with a notice: a tick comes every 10 s.
STALE = 180


def context(project: Project) -> dict[str, Any]:
    """Template context of the page."""
    overview = stored.overview(project)
    reachable = overview is not None or stored.reachable()
    open_lines = rows.lines(rows.with_causes(Incident.objects.filter(project=project, run_id="", status__in=OPEN)))
    open_lines.sort(key=lambda line: -float(line["incident"].impact.get("per_hour") or 0))
    steps = [_step(step, project.currency, open_lines) for step in overview["steps"]] if overview else []
    return {
        "overview": overview,
        "waiting": reachable and (overview is None or overview["newest_event_at"] is None),
        "stale_since": _stale(overview),
        "lines": open_lines,
        "risk": _risk(open_lines, project.currency),
        "severities": _severities(open_lines),
        "sentence": _sentence(open_lines),
        "calm": _calm(steps, overview, project),
        "steps": steps,
        "revenue": _revenue(overview),
        "heat": _heat(overview),
        "detectors": _detectors(project, overview),
        "events": _events(project, overview),
        "find": _time_to_find(project),
        "strip": strip.today(project),
    }


def _sentence(lines: list[dict[str, Any]]) -> str:
    if not lines:
        return "All is well."
    if len(lines) == 1:
        line = lines[0]
        group = "everyone" if not line["incident"].cohort else "one group of shoppers"
        return f"{line['what']} for {group}."
    return f"{len(lines)} incidents are open."


def _calm(steps: list[dict[str, Any]], overview: Overview | None, project: Project) -> str:
    """What was checked and found in range."""
    if overview is None or not steps:
        return ""
    watched = [step for step in steps if step["collected"] and step["rate"] is not None]
    off = [step for step in watched if step["state"] == "bad"]
    if off:
        return f"{len(watched) - len(off)} of {len(watched)} steps are inside their expected range for the whole store."
    cohorts = format.group(overview["watched_cohorts"], project.currency)
    return f"For the whole store all {len(watched)} steps are inside their expected range; {cohorts} cohorts are watched."


def _step(step: OverviewStep, currency: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    rate, lo, hi = step["rate"], step["lo"], step["hi"]
    state = "ok"
    if rate is not None and lo is not None and hi is not None:
        edge = (hi - lo) * 0.1
        state = "bad" if rate < lo or rate > hi else "edge" if rate < lo + edge else "ok"
    word = {"ok": "in range", "edge": "at lower edge", "bad": "below range" if (rate or 0) < (lo or 0) else "above range"}[state]
    name = f"{step['step_from']}->{step['step_to']}"
    worst = step["worst"]
    return {
        **step,
        "id": f"step-{step['step_from']}",
        "name": words.step_range(name),
        "state": state,
        "word": word if lo is not None else "still learning",
        "difference": None if rate is None or step["expected"] is None else rate - step["expected"],
        "worst_label": words.cohort(worst["cohort"]) if worst else "",
        "worst_incident": _incident_of(worst["cohort"], name, lines) if worst else None,
    }


def _incident_of(cohort: list[dict[str, str]], step: str, lines: list[dict[str, Any]]) -> int | None:
    same = (line["incident"] for line in lines if line["incident"].step == step)
    return next((row.pk for row in same if Cohort.from_json(row.cohort) == Cohort.from_json(cohort)), None)


def _risk(lines: list[dict[str, Any]], currency: str) -> dict[str, Any] | None:
    """Money at risk per hour over the open incidents with a known value, and how it divides."""
    shares = [(line["incident"], float(line["incident"].impact["per_hour"])) for line in lines if line["incident"].impact.get("per_hour")]
    total = sum(part for _, part in shares)
    if not total:
        return None
    chief, most = shares[0]
    return {
        "total": total,
        "chief": chief,
        "chief_share": most / total,
        "parts": [{"share": round(part / total * 100, 1), "severity": words.SEVERITIES[row.severity][0]} for row, part in shares],
    }


def _severities(lines: list[dict[str, Any]]) -> str:
    counts = {name: sum(line["incident"].severity == name for line in lines) for name in words.SEVERITIES}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _revenue(overview: Overview | None) -> dict[str, Any] | None:
    revenue = overview["revenue"] if overview else None
    if revenue is None:
        return None
    expected = revenue["expected"]
    return {**revenue, "effect": revenue["value"] / expected - 1 if expected else None}


def _heat(overview: Overview | None) -> dict[str, Any] | None:
    if overview is None or not overview["cohorts"]:
        return None
    return {
        "columns": [words.step(step["step_to"]) for step in overview["steps"]],
        "rows": [{"name": words.cohort(row["cohort"]), "cells": [_cell(sigma) for sigma in row["sigmas"]]} for row in overview["cohorts"]],
    }


def _cell(sigma: float | None) -> dict[str, Any] | None:
    if sigma is None:
        return None
    kind = "bad" if sigma <= -LOUD else "good" if sigma >= LOUD else "flat"
    return {"sigma": sigma, "kind": kind, "depth": round(min(1.0, abs(sigma) / 6), 2)}


def _detectors(project: Project, overview: Overview | None) -> list[dict[str, Any]]:
    """Each detector with its share of false alarms among judged incidents in which it fired."""
    if overview is None:
        return []
    verdicts = dict(Feedback.objects.filter(incident__project=project, incident__run_id="").order_by("at").values_list("incident_id", "verdict"))
    fired = {
        row.pk: {detector["name"] for detector in row.detectors if detector.get("first_fired_at")}
        for row in Incident.objects.filter(pk__in=verdicts).only("detectors")
    }
    now = clock.now_ms() // 1000
    out = []
    for detector in overview["detectors"]:
        judged = [verdict for pk, verdict in verdicts.items() if detector["name"] in fired[pk]]
        false = judged.count("false_alarm") / len(judged) if judged else None
        label = words.DETECTORS.get(detector["name"], words.humanise(detector["name"]))
        lag = max(0, now - detector["ran_at"])
        out.append({**detector, "label": label, "lag": lag, "late": lag > STALE, "false": false, "judged": len(judged)})
    return out


def _events(project: Project, overview: Overview | None) -> dict[str, Any] | None:
    if overview is None or not overview["events"]["x"]:
        return None
    events = overview["events"]
    chart = {
        "x": events["x"], "series": {"cohort": events["band"]}, "unit": "count", "worse": "down", "zone": project.timezone,
        "currency": project.currency, "locale": "en-IN" if project.currency == "INR" else "en", "changes": [], "responses": [], "cp": None,
    }  # fmt: skip
    return {**events, "chart": chart}


def _time_to_find(project: Project) -> dict[str, Any] | None:
    """Median time from onset to detection over the last 30 incidents, and how many of the judged were false."""
    last = list(Incident.objects.filter(project=project, run_id="").order_by("-detected_at").values_list("started_at", "detected_at")[:30])
    if not last:
        return None
    spans = sorted((found - began).total_seconds() for began, found in last)
    judged = Feedback.objects.filter(incident__project=project, incident__run_id="").values("verdict").annotate(n=Count("incident", distinct=True))
    counts = {row["verdict"]: row["n"] for row in judged}
    return {
        "median": spans[len(spans) // 2],
        "count": len(spans),
        "false": counts.get("false_alarm", 0) / sum(counts.values()) if counts else None,
    }


def _stale(overview: Overview | None) -> int | None:
    """Unix time of the numbers when they are too old to be called live."""
    if overview is None or clock.now_ms() // 1000 - overview["at"] < STALE:
        return None
    return overview["at"]
