"""The change feed: what was changed, whom it reached, and the incident it is suspected of."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from funnelwatch.core import clock
from funnelwatch.core.vocabulary import CHANGE_KINDS
from funnelwatch.incidents.models import Cause
from funnelwatch.projects.models import ChangeRow, Project
from funnelwatch.web import words
from funnelwatch.web.data import strip

PAGE = 50

#: Tab -> kinds of change; the page's words for CONTRACT's kinds.
TABS = {
    "": ("All", CHANGE_KINDS),
    "deploys": ("Deploys", ("deploy",)),
    "config": ("Config and CDN", ("config", "cdn")),
    "campaigns": ("Campaigns", ("campaign", "holiday")),
    "flags": ("Flags", ("feature_flag", "experiment")),
    "catalog": ("Price and stock", ("promo", "price", "stock")),
    "third": ("Third party", ("third_party", "payment_provider")),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """The query string, unknown values dropped."""

    tab: str = ""
    search: str = ""
    source: str = ""
    page: int = 1

    @classmethod
    def of(cls, params: QueryDict) -> "Filters":
        tab, number = params.get("tab", ""), params.get("page", "1")
        return cls(
            tab=tab if tab in TABS else "",
            search=params.get("q", "").strip()[:100],
            source=params.get("source", "")[:60],
            page=int(number) if number.isdigit() and 0 < int(number) < 10_000 else 1,
        )


def context(project: Project, filters: Filters) -> dict[str, Any]:
    """Template context of the page."""
    mine = ChangeRow.objects.filter(project=project)
    suspects = Cause.objects.filter(incident__run_id="", rejected="", probability__gte=0.05).select_related("incident").order_by("-probability")
    found = _filtered(mine, filters).prefetch_related(Prefetch("cause_set", suspects, to_attr="suspicions"))
    listed = [_row(row) for row in found[(filters.page - 1) * PAGE : filters.page * PAGE + 1]]
    counts = dict(mine.values_list("kind").annotate(n=Count("pk")))
    return {
        "filters": filters,
        "sentence": _sentence(mine),
        "rows": listed[:PAGE],
        "next_page": filters.page + 1 if len(listed) > PAGE else None,
        "tabs": [(tab, name, sum(counts.get(kind, 0) for kind in kinds)) for tab, (name, kinds) in TABS.items()],
        "sources": list(mine.order_by("source").values_list("source", flat=True).distinct()),
        "strip": strip.today(project),
        "any": bool(counts),
    }


def _filtered(mine: QuerySet[ChangeRow], filters: Filters) -> QuerySet[ChangeRow]:
    found = mine.filter(kind__in=TABS[filters.tab][1]).order_by("-started_at", "-pk")
    if filters.source:
        found = found.filter(source=filters.source)
    if filters.search:
        found = found.filter(Q(title__icontains=filters.search) | Q(author__icontains=filters.search) | Q(external_id__icontains=filters.search))
    return found


def _row(row: ChangeRow) -> dict[str, Any]:
    return {
        "change": row,
        "day": f"{timezone.localtime(row.started_at):%A} {timezone.localtime(row.started_at).day} {timezone.localtime(row.started_at):%B %Y}",
        "scope": _scope(row.scope),
        "suspicion": row.suspicions[0] if row.suspicions else None,
    }


def _scope(scope: dict[str, list[str]]) -> str:
    if not scope:
        return "Everyone"
    parts = [f"{words.DIMENSIONS.get(name, words.humanise(name))} {', '.join(map(str, values[:4]))}{'…' if len(values) > 4 else ''}" for name, values in scope.items()]
    return "; ".join(parts)


def _sentence(mine: QuerySet[ChangeRow]) -> tuple[str, str]:
    since = clock.now() - timedelta(hours=24)
    recent = mine.filter(started_at__gte=since, started_at__lte=clock.now())
    count = recent.count()
    blamed = recent.filter(cause__rank=1, cause__rejected="", cause__probability__gte=0.5, cause__incident__run_id="").distinct().count()
    first = "No change in the last 24 hours." if not count else f"{count} change{'' if count == 1 else 's'} in the last 24 hours."
    return first, f"{blamed} likely behind an incident." if blamed else ""
