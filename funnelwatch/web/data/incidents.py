"""The incident list: open ones first, then by day, filtered and cut to a page."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from funnelwatch.core import clock
from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.respond import CLOSED, OPEN
from funnelwatch.projects.models import Project
from funnelwatch.web import format, words
from funnelwatch.web.data import rows

PAGE = 30
DAYS = 30

TABS = {"": "All", "open": "Open", "resolved": "Resolved", "withdrawn": "False or expected"}
_TAB_STATUSES = {"open": OPEN, "resolved": ("resolved",), "withdrawn": ("expected", "false_alarm")}
SORTS = {"": "Newest", "money": "Most money"}


@dataclass(frozen=True, slots=True)
class Filters:
    """The query string, unknown values dropped."""

    tab: str = ""
    search: str = ""
    severity: str = ""
    step: str = ""
    run: str = ""
    sort: str = ""
    page: int = 1

    @classmethod
    def of(cls, params: QueryDict) -> "Filters":
        def one_of(name: str, allowed: Any) -> str:
            value = params.get(name, "")
            return value if value in allowed else ""

        number = params.get("page", "1")
        return cls(
            tab=one_of("tab", TABS),
            search=params.get("q", "").strip()[:100],
            severity=one_of("severity", words.SEVERITIES),
            step=params.get("step", "")[:200],
            run=params.get("run", "")[:40],
            sort=one_of("sort", SORTS),
            page=int(number) if number.isdigit() and 0 < int(number) < 10_000 else 1,
        )

    def text(self) -> str:
        """The filter in words, for the empty state."""
        parts = [f"status {TABS[self.tab].lower()}" if self.tab else "", f"severity {self.severity}" if self.severity else ""]
        parts += [f"step {words.step_range(self.step)}" if self.step else "", f"“{self.search}”" if self.search else ""]
        return ", ".join(part for part in parts if part)


def context(project: Project, filters: Filters) -> dict[str, Any]:
    """Template context of the page."""
    mine = Incident.objects.filter(project=project, run_id=filters.run)
    found = _filtered(mine, filters)
    counts = {tab: mine.filter(status__in=_TAB_STATUSES[tab]).count() for tab in _TAB_STATUSES}
    listed = rows.lines(rows.with_causes(found)[(filters.page - 1) * PAGE : filters.page * PAGE + 1])
    more, listed = len(listed) > PAGE, listed[:PAGE]
    if filters.sort == "money":
        listed.sort(key=lambda line: -float(line["incident"].impact.get("lost_revenue") or 0))
    return {
        "filters": filters,
        "sentence": _sentence(mine, project),
        "summary": _summary(mine, project),
        "tabs": [(tab, name, sum(counts.values()) if not tab else counts[tab]) for tab, name in TABS.items()],
        "open_lines": [line for line in listed if line["open"]],
        "past": [line | {"day": _day(line["incident"])} for line in listed if not line["open"]],
        "next_page": filters.page + 1 if more else None,
        "severities": list(words.SEVERITIES),
        "steps": list(mine.order_by("step").values_list("step", flat=True).distinct()),
        "sorts": SORTS,
        "runs": list(Incident.objects.filter(project=project).exclude(run_id="").order_by("run_id").values_list("run_id", flat=True).distinct()),
        "any": mine.exists(),
    }


def _filtered(mine: QuerySet[Incident], filters: Filters) -> QuerySet[Incident]:
    found = mine.order_by("-started_at")
    if filters.tab:
        found = found.filter(status__in=_TAB_STATUSES[filters.tab])
    if filters.severity:
        found = found.filter(severity=filters.severity)
    if filters.step:
        found = found.filter(step=filters.step)
    if filters.search:
        found = found.filter(Q(title__icontains=filters.search) | Q(causes__title__icontains=filters.search, causes__rejected="")).distinct()
    return found


def _day(incident: Incident) -> str:
    local, today = timezone.localtime(incident.started_at).date(), timezone.localtime(clock.now()).date()
    if local == today:
        return "Earlier today"
    if local == today - timedelta(days=1):
        return "Yesterday"
    return f"{local:%A} {local.day} {local:%B %Y}"


def _sentence(mine: QuerySet[Incident], project: Project) -> tuple[str, str]:
    """How many are open and what they cost; how many have no owner."""
    live = list(mine.filter(status__in=OPEN).only("impact", "assignee"))
    if not live:
        return "No incident is open.", ""
    risk = sum(float(row.impact.get("per_hour") or 0) for row in live)
    cost = f", {format.money(risk, project.currency)} at risk per hour" if risk else ""
    orphans = sum(row.assignee_id is None for row in live)
    return f"{len(live)} open{cost}.", f"{orphans} without an owner." if orphans else ""


def _summary(mine: QuerySet[Incident], project: Project) -> list[dict[str, str]]:
    """Facts over the last 30 days; each only where there is something to say."""
    last = list(mine.filter(started_at__gte=clock.now() - timedelta(days=DAYS)))
    if not last:
        return []
    ended = [row for row in last if row.status == "resolved" and row.resolved_at]
    closed = [row for row in last if row.status in CLOSED]
    false = sum(row.status == "false_alarm" for row in last)
    lost = sum(float(row.impact.get("lost_revenue") or 0) for row in last if row.status not in ("expected", "false_alarm"))
    kept = sum(float(row.impact.get("recovered_revenue") or 0) for row in ended)
    facts = [
        {"label": f"Incidents, {DAYS} days", "value": str(len(last)), "note": f"{sum(row.severity == 'critical' for row in last)} critical"},
        {"label": "Time to find", "value": format.duration(_median([(row.detected_at - row.started_at).total_seconds() for row in last])), "note": "Median"},
    ]  # fmt: skip
    if ended:
        spans = [(row.resolved_at - row.started_at).total_seconds() for row in ended]
        facts.append({"label": "Time until over", "value": format.duration(_median(spans)), "note": f"Median of {len(ended)}"})
    if closed:
        facts.append({"label": "False alarms", "value": format.percent(false / len(closed), 0), "note": f"{false} of {len(closed)} closed"})
    facts.append({"label": "Lost", "value": format.money(lost, project.currency), "note": f"{format.money(kept, project.currency)} kept by acting" if kept else ""})
    return facts


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
