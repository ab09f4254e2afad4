"""How the watch itself is doing: stores, spool, jobs, alerts; and what was refused and why."""

from collections import Counter
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from funnelwatch import config, pipeline
from funnelwatch.core import clock
from funnelwatch.incidents.models import Delivery, Feedback, Incident
from funnelwatch.ingest.status import read_poison, read_status
from funnelwatch.projects.models import Channel, Project
from funnelwatch.store.queries import coverage
from funnelwatch.store.queries import health as health_queries
from funnelwatch.web import format, words
from funnelwatch.web.data import stored
from funnelwatch.web.payloads import Overview

#: A tick every 10 s; a closed minute is at most a minute old.
JOBS_LATE_SECONDS = 180
LAG_SECONDS = 60
MONTH = timedelta(days=30)
COVERED_HOURS = 24
_MOST_VALUES = 6  # of a dimension, those with the most orders


def context(project: Project) -> dict[str, Any]:
    """Template context of the page: checks with a word on what to do, then numbers."""
    spool = read_status(settings.DATA_DIR / "spool")
    overview = stored.overview(project)
    checks = [_store_check(stored.reachable()), _spool_check(spool), _jobs_check(overview), _events_check(overview), _alerts_check(project)]
    drops = Counter(spool.drops.get(project.pk, {}))
    mine = spool.projects.get(project.pk, {"stored": 0, "repeats": 0})
    return {
        "checks": checks,
        "wrong": [check for check in checks if not check["ok"]],
        "spool": spool,
        "repeated": {"count": mine["repeats"], "share": _share(mine["repeats"], sum(mine.values()))},
        "overview": overview,
        "drops": [{"reason": words.REASONS.get(code, words.humanise(code)), "code": code, "count": count} for code, count in drops.most_common()],
        "deliveries": _deliveries(project),
        "judgements": _judgements(project),
    }


def orders_seen(project: Project) -> list[dict[str, Any]] | None:
    """Server-side orders of the last COVERED_HOURS the SDK saw, everyone's first, then by dimension; None while the event store is away."""
    now = clock.now_ms()
    rows = stored.ask(lambda: coverage.meter(stored.client(), project.pk, now - COVERED_HOURS * 3_600_000, now))
    if rows is None:
        return None
    by_dimension = ([row for row in rows if row["dimension"] == name and row["server"]] for name in ("", *coverage.DIMENSIONS))
    return [row | {"label": words.DIMENSIONS.get(row["dimension"], "")} for found in by_dimension for row in found[:_MOST_VALUES]]


def clocks(project: Project) -> dict[str, Any] | None:
    """Of the project's events in the last COVERED_HOURS: `events`, the shares `off` and `unusable`; None while the event store is away."""
    now = clock.now_ms()
    counts = stored.ask(lambda: health_queries.clocks(stored.client(), project.pk, now - COVERED_HOURS * 3_600_000, now))
    if counts is None:
        return None
    return {"events": counts["events"], **{name: _share(counts[name], counts["events"]) for name in ("off", "unusable")}}


def set_aside(project: Project) -> list[dict[str, Any]]:
    """The newest events that could not be stored: when, and what the store said."""
    return [{"at": clock.from_ms(row["at"]), "reason": row["reason"]} for row in read_poison(settings.DATA_DIR / "spool", project.pk)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _check(name: str, ok: bool, detail: str, fix: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": detail, "fix": "" if ok else fix}


def _store_check(reachable: bool) -> dict[str, Any]:
    if reachable:
        return _check("Event store", True, "answers")
    return _check("Event store", False, "cannot be reached", "Events are kept on disk meanwhile. Run funnelwatch doctor to see what is wrong with it.")


def _spool_check(spool: Any) -> dict[str, Any]:
    error = pipeline.ingest_status().get("last_error", "")
    limit = config.get_int("spool_max_mb") * 1024 * 1024
    size = f"{format.group(spool.waiting_events)} event{'' if spool.waiting_events == 1 else 's'} waiting, {spool.spool_bytes / 1e6:.1f}{format.NBSP}MB"
    if error:
        return _check("Spool", False, f"{size}; the drain says: {error}", "The spool empties by itself once the event store is back.")
    if spool.spool_bytes >= limit:
        return _check("Spool", False, f"{size}; it is full", "Clients are told to wait. Free disk space or raise FUNNELWATCH_SPOOL_MAX_MB.")
    late = spool.lag_seconds > LAG_SECONDS
    fix = "The drain cannot keep up; see the process's log."
    return _check("Spool", not late, f"{size}, oldest {format.duration(spool.lag_seconds)} old" if spool.waiting_events else "empty", fix)


def _jobs_check(overview: Overview | None) -> dict[str, Any]:
    if overview is None:
        return _check("Minute jobs", False, "have not run yet", "They start with the first events. In server mode check that worker and beat run.")
    age = clock.now_ms() / 1000 - overview["at"]
    fix = "In server mode check that worker and beat run; in embedded mode see the log for skipped ticks."
    return _check("Minute jobs", age < JOBS_LATE_SECONDS, f"judged up to {format.when(clock.from_ms(overview['at'] * 1000))}", fix)


def _events_check(overview: Overview | None) -> dict[str, Any]:
    newest = overview["newest_event_at"] if overview else None
    if newest is None:
        return _check("Events", False, "none yet", "Put the snippet from Settings into the shop and watch the live view.")
    age = max(0.0, clock.now_ms() / 1000 - newest)
    return _check("Events", age < 15 * 60, f"newest is {format.duration(age)} old", "The shop sends nothing. Check the snippet and the key.")


def _alerts_check(project: Project) -> dict[str, Any]:
    broken = Channel.objects.filter(project=project).exclude(disabled_reason="")
    if broken:
        return _check("Alerts", False, "; ".join(f"{row.name}: {row.disabled_reason}" for row in broken), "Put it right and send a test from Settings.")
    if not Channel.objects.filter(project=project).exists():
        return _check("Alerts", False, "no channel", "Add Slack, PagerDuty, e-mail or a webhook under Settings.")
    late = Delivery.objects.filter(incident__project=project, sent_at=None, failed_at=None, created_at__lt=clock.now() - timedelta(minutes=5))
    return _check("Alerts", not late.exists(), f"{late.count()} waiting over 5{format.NBSP}min" if late.exists() else "delivered", "See the errors below.")


def _deliveries(project: Project) -> dict[str, Any]:
    recent = Delivery.objects.filter(incident__project=project, created_at__gte=clock.now() - MONTH)
    counts = recent.aggregate(
        sent=Count("pk", filter=Q(sent_at__isnull=False)),
        failed=Count("pk", filter=Q(failed_at__isnull=False)),
        waiting=Count("pk", filter=Q(sent_at=None, failed_at=None)),
    )
    trouble = recent.exclude(error="").filter(sent_at=None).select_related("channel", "incident").order_by("-pk")[:10]
    return counts | {"trouble": trouble}


def _judgements(project: Project) -> dict[str, int]:
    """How the incidents of the last 30 days were judged."""
    recent = Incident.objects.filter(project=project, run_id="", started_at__gte=clock.now() - MONTH)
    judged = Feedback.objects.filter(incident__in=recent).values("incident").distinct().count()
    return {"incidents": recent.count(), "judged": judged, "false": recent.filter(status="false_alarm").count()}
