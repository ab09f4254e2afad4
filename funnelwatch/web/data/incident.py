"""The incident page: what happened, to whom, what it costs, why, what was done, and whether the alert was right."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from funnelwatch.core import clock
from funnelwatch.incidents.models import Cause, Incident, TimelineEntry
from funnelwatch.projects.models import Member
from funnelwatch.web import format, words
from funnelwatch.web.data import incident_chart, rows
from funnelwatch.web.payloads import Loss

#: What the machine signs timeline entries with.
SYSTEM = "FunnelWatch"
SIMILAR = 3


def context(incident: Incident, user: AbstractBaseUser) -> dict[str, Any]:
    """Template context of the page."""
    causes = list(incident.causes.select_related("change"))
    ranked = [cause for cause in causes if not cause.rejected]
    timeline = list(incident.timeline.all())
    feedback = list(incident.feedback.select_related("user").order_by("at"))
    return {
        "incident": incident,
        "now": clock.now(),
        "certainty": f"over {format.percent(0.999)}" if incident.probability > 0.999 else format.percent(incident.probability),
        "cohort": words.cohort(incident.cohort),
        "step": words.step_range(incident.step),
        "what": rows.what(incident),
        "change": rows.change(incident),
        "closed": not incident.is_open,
        "duration": rows.length(incident),
        "money": rows.money_of(incident),
        "verdict_word": {"expected": "Marked as an expected event.", "false_alarm": "Marked as a false alarm."}.get(incident.status, ""),
        "facts": _facts(incident),
        "chart": incident_chart.payload(incident, ranked, timeline) if incident.chart else None,
        "chart_table": incident_chart.table(incident) if incident.chart else [],
        "band": (incident.chart or {}).get("series", {}).get("cohort"),
        "causes": [_cause(cause, incident) for cause in ranked if cause.kind != "unknown"],
        "unknown": next((cause.probability for cause in ranked if cause.kind == "unknown"), None),
        "rejected": [cause for cause in causes if cause.rejected],
        "chief": next((cause for cause in ranked if cause.kind != "unknown"), None),
        "path": [_station(row, index, incident) for index, row in enumerate(incident.narrowing)],
        "detectors": [_detector(row) for row in incident.detectors],
        "fired": sum(1 for row in incident.detectors if row.get("first_fired_at")),
        "playbook": _playbook(incident),
        "phases": _phases(incident, timeline),
        "timeline": _timeline(incident, ranked, timeline),
        "impact": _impact(incident),
        "loss": _loss(incident),
        "my_verdict": next((row.verdict for row in reversed(feedback) if row.user_id == user.pk), None),
        "verdicts": feedback,
        "verdict_choices": [(code, word, icon, key) for (code, word), icon, key in zip(words.VERDICTS.items(), ("check", "x", "calendar"), "123", strict=True)],
        "similar": _similar(incident),
        "responders": _responders(incident),
    }


def _facts(incident: Incident) -> list[dict[str, str]]:
    impact, currency = incident.impact, incident.impact.get("currency") or incident.project.currency
    money: Callable[[Any], str] = lambda amount: format.money(amount, currency)  # noqa: E731
    orders = f"about {format.group(impact.get('lost_orders') or 0, currency)} orders"
    facts = []
    if incident.is_open and impact.get("per_hour") is not None:
        facts.append(_fact("At risk", money(impact["per_hour"]), "at the pace since it began", "per hour", "bad"))
    if impact.get("lost_revenue") is not None:
        facts.append(_fact("Lost so far" if incident.is_open else "Lost", money(impact["lost_revenue"]), orders))
    elif impact.get("lost_orders"):
        facts.append(_fact("Lost so far" if incident.is_open else "Lost", orders, "no order value is known"))
    if impact.get("recovered_revenue"):
        facts.append(_fact("Kept by acting", money(impact["recovered_revenue"]), "against doing nothing", tone="good"))
    if incident.chart:
        share = f"{format.percent(incident.chart['share'], 0)} of everyone at this step"
        facts.append(_fact("Sessions affected", format.group(incident.chart["sessions"], currency), share))
        facts.extend(_store_fact(incident))
    fired = sum(1 for row in incident.detectors if row.get("first_fired_at"))
    found = format.duration(incident.detected_at - incident.started_at)
    agree = f"; {fired} of {len(incident.detectors)} detectors agree" if incident.detectors else ""
    facts.append(_fact("Found", found, f"after it began{agree}"))
    if incident.resolved_at:
        facts.append(_fact("Over after", format.duration(incident.resolved_at - incident.started_at), format.when(incident.resolved_at)))
    return facts


def _store_fact(incident: Incident) -> list[dict[str, str]]:
    store = incident.chart["series"].get("store")
    last = next((i for i in range(len(store["y"]) - 1, -1, -1) if store["y"][i] is not None), None) if store else None
    if last is None or store["lo"][last] is None:
        return []
    value, low, high = store["y"][last], store["lo"][last], store["hi"][last]
    place = "below" if value < low else "above" if value > high else "inside"
    shown: Callable[[float], str] = lambda number: format.value(number, incident.metric, incident.project.currency)  # noqa: E731
    return [_fact("Whole store", shown(value), f"{place} its range {shown(low)} – {shown(high)}")]


def _fact(label: str, value: str, note: str, unit: str = "", tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "unit": unit, "tone": tone}


def _cause(cause: Cause, incident: Incident) -> dict[str, Any]:
    """A cause with its evidence: what speaks for it in three columns, what speaks against it in one line."""
    evidence = [row for row in cause.evidence if row["kind"] != "shap"]
    shap = next((row["data"].get("contributions", []) for row in cause.evidence if row["kind"] == "shap"), [])
    most = max((abs(row["points"]) for row in shap), default=1.0)
    lag = (incident.started_at - cause.change.started_at) if cause.change else None
    before = lag is not None and lag.total_seconds() >= 0
    return {
        "row": cause,
        "likelihood": words.likelihood(cause.probability),
        "bar": round(cause.probability * 100, 1),
        "when": cause.change.started_at if cause.change else None,
        "lag": f"{format.duration(abs(lag))} {'before' if before else 'after'}" if lag is not None else "",
        "for": [_evidence(row) for row in evidence if row["weight"] >= 0],
        "against": [row for row in evidence if row["weight"] < 0],
        "shap": [
            {**row, "label": words.DIMENSIONS.get(row["feature"], words.humanise(row["feature"])), "bar": round(row["points"] / most * 4.6, 2)}
            for row in shap
        ],
    }


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    titles = {"time": "Time match", "scope": "Scope match", "mechanism": "Mechanism", "control": "Comparison", "history": "History"}
    css, word = words.match(row["weight"])
    return {"title": titles.get(row["kind"], words.humanise(row["kind"])), "text": row["text"], "css": css, "word": word}


def _station(row: dict[str, Any], index: int, incident: Incident) -> dict[str, Any]:
    """One step from everyone to the cohort. The one that names the incident's cohort is marked."""
    effect = row["rate"] / row["expected"] - 1 if row.get("expected") else None
    is_last = index == len(incident.narrowing) - 1
    return {
        "name": "Everyone" if not row["cohort"] else words.cohort(row["cohort"]),
        "value": format.value(row["rate"], incident.metric, incident.project.currency),
        "effect": format.signed(effect * 100, 0) + format.THIN + "%" if effect is not None else "",
        "explained": row.get("explained"),
        "sessions": row.get("sessions"),
        "on": is_last,
        "tone": "bad" if is_last else "",
    }


def _detector(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": words.DETECTORS.get(row["name"], words.humanise(row["name"])),
        "text": row.get("text") or f"Version {row.get('version', 1)}",
        "fired": bool(row.get("first_fired_at")),
        "score": row["score"],
        "bar": round(min(1.0, max(0.0, row["score"])) * 100),
        "at": row.get("first_fired_at"),
    }


def _playbook(incident: Incident) -> dict[str, Any] | None:
    steps = list(incident.playbook.all())
    if not steps:
        return None
    now = next((step.pk for step in steps if step.done_at is None), None)
    return {
        "name": words.humanise(steps[0].playbook),
        "done": sum(step.done_at is not None for step in steps),
        "steps": [{"row": step, "state": "done" if step.done_at else "now" if step.pk == now and incident.is_open else ""} for step in steps],
        "count": len(steps),
    }


def _loss(incident: Incident) -> Loss | None:
    """The curve of what was lost; None where nothing was, or it is not known."""
    loss = (incident.chart or {}).get("loss")
    return loss if loss and any(loss["lost"]) else None


#: From which timeline kind to which a phase of the response runs, and its colour.
_PHASES = (
    ("Find", "detected", "var(--bad-fill)"),
    ("Explain", "cause_ranked", "var(--ink-3)"),
    ("Ack", "acknowledged", "var(--ink-3)"),
    ("Recover", "resolved", "var(--good-fill)"),
)


def _phases(incident: Incident, timeline: list[TimelineEntry]) -> list[dict[str, Any]]:
    """How long each part of the response took; the part that runs now is marked."""
    firsts: dict[str, Any] = {}
    for entry in timeline:
        firsts.setdefault(entry.kind, entry.at)
    firsts["detected"] = firsts.get("detected", incident.detected_at)
    if incident.status in ("resolved", "expected", "false_alarm") and incident.resolved_at:
        firsts["resolved"] = incident.resolved_at
    out, since = [], incident.started_at
    for name, kind, colour in _PHASES:
        end = firsts.get(kind)
        if end is None or end < since:
            continue
        seconds = (end - since).total_seconds()
        out.append({"name": name, "seconds": seconds, "weight": round(max(1.0, seconds / 60) ** 0.5, 2), "colour": colour, "running": False})
        since = end
    if incident.is_open:
        name = "Recover" if "acknowledged" in firsts else "Ack"
        seconds = (clock.now() - since).total_seconds()
        weight = round(max(1.0, seconds / 60) ** 0.5, 2)
        out.append({"name": name, "seconds": seconds, "weight": weight, "colour": "var(--warn-fill)", "running": True})
    return out


def _timeline(incident: Incident, ranked: list[Cause], timeline: list[TimelineEntry]) -> list[dict[str, Any]]:
    entries = [_entry(entry) for entry in timeline]
    chief = next((cause for cause in ranked if cause.change and cause.probability >= 0.5), None)
    if chief:
        entries.append({"at": chief.change.started_at, "css": "is-change", "glyph": chief.kind, "title": chief.title, "text": "Likely cause"})
    return sorted(entries, key=lambda entry: entry["at"])


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    title = words.TIMELINE_TITLES.get(entry.kind, words.humanise(entry.kind))
    css, icon = words.TIMELINE.get(entry.kind, ("is-sys", "dot"))
    if entry.actor != SYSTEM:
        note = entry.kind in ("comment", "feedback")
        title = entry.actor if note else f"{entry.actor} {title[:1].lower()}{title[1:]}"
        css = "is-person"
    repeats = entry.text.rstrip(".").lower() == words.TIMELINE_TITLES.get(entry.kind, "").lower()
    return {"at": entry.at, "css": css, "icon": icon, "actor": entry.actor, "title": title, "text": "" if repeats else entry.text}


def _impact(incident: Incident) -> list[dict[str, str]]:
    """The sum behind the money, line by line; the last line is the total."""
    impact, currency = incident.impact, incident.impact.get("currency") or incident.project.currency
    lines = []
    if impact.get("lost_orders"):
        lines.append({"label": "Orders missing against expected", "value": f"about {format.group(impact['lost_orders'], currency)}"})
    if impact.get("lost_revenue") is not None:
        if impact.get("lost_orders"):
            lines.append({"label": "× average order", "value": format.money(impact["lost_revenue"] / impact["lost_orders"], currency)})
        lines.append({"label": "Lost", "value": format.money(impact["lost_revenue"], currency), "tone": "tot"})
    if impact.get("interval"):
        low, high = impact["interval"]
        lines.append({"label": "95 % range", "value": f"{format.money(low, currency)} – {format.money(high, currency)}"})
    if incident.is_open and impact.get("per_hour") is not None:
        lines.append({"label": "At risk per hour", "value": format.money(impact["per_hour"], currency), "tone": "tot bad"})
    if impact.get("recovered_revenue"):
        lines.append({"label": "Kept", "value": format.money(impact["recovered_revenue"], currency), "tone": "tot good"})
    return lines


def _similar(incident: Incident) -> list[dict[str, Any]]:
    """Earlier incidents at the same step, those that share most of the cohort first."""
    earlier = Incident.objects.filter(project=incident.project, run_id=incident.run_id, step=incident.step, started_at__lt=incident.started_at)
    candidates = rows.with_causes(earlier.exclude(status__in=("expected", "false_alarm")).order_by("-started_at")[:50])
    mine = {(row["dimension"], row["value"]) for row in incident.cohort}

    def shared(other: Incident) -> float:
        theirs = {(row["dimension"], row["value"]) for row in other.cohort}
        return len(mine & theirs) / len(mine | theirs) if mine | theirs else 1.0

    best = sorted(candidates, key=shared, reverse=True)[:SIMILAR]
    return [rows.line(row) | {"alike": "same group" if shared(row) == 1 else "overlapping group" if shared(row) else "same step"} for row in best]


def _responders(incident: Incident) -> str:
    """Names of who may act, for those who may not."""
    names = Member.objects.filter(project=incident.project, role__in=("responder", "admin")).values_list("user__username", flat=True)[:3]
    return ", ".join(names)
