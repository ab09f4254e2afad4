"""What the settings page shows. Secrets are never shown again; a token once, when it is made."""

from typing import Any
from zoneinfo import available_timezones

from funnelwatch.changes.connector import CONNECTORS
from funnelwatch.core import clock, retention
from funnelwatch.core.vocabulary import SEVERITIES
from funnelwatch.projects.models import ApiToken, AuditRow, Channel, Connector, Funnel, Member, Project, WriteKey
from funnelwatch.rollup.cohorts import DEFAULT_PAIRS
from funnelwatch.store.queries import cuts
from funnelwatch.web.data import stored
from funnelwatch.web.forms import CHANNEL_FIELDS

AUDIT_ROWS = 20


def context(project: Project) -> dict[str, Any]:
    """Template context of the page."""
    funnels = Funnel.objects.filter(project=project, active=True).order_by("name", "-version")
    return {
        "cohorts": _cohorts(project),
        "keys": WriteKey.objects.filter(project=project).order_by("revoked_at", "-pk"),
        "tokens": ApiToken.objects.filter(project=project, revoked_at=None).order_by("-pk"),
        "funnels": [{"row": row, "steps": " > ".join(step["name"] for step in row.steps)} for row in funnels],
        "channels": [{"row": row, "shown": _shown(row)} for row in Channel.objects.filter(project=project).order_by("pk")],
        "channel_kinds": CHANNEL_FIELDS,
        "connectors": Connector.objects.filter(project=project, disabled_at=None).order_by("pk"),
        "connector_kinds": list(CONNECTORS),
        "members": Member.objects.filter(project=project).select_related("user").order_by("user__username"),
        "roles": Member.Role.choices,
        "severities": SEVERITIES,
        "tiers": sorted({*retention.TIERS, project.retention_days}),
        "timezones": sorted(available_timezones()),
        "audit": AuditRow.objects.filter(project=project).order_by("-at")[:AUDIT_ROWS],
    }


def _cohorts(project: Project) -> dict[str, Any]:
    """What the funnels are cut by today; `chosen` and `pooled` are None while the store is away."""
    found = stored.ask(lambda: cuts.of_day(stored.client(), project.pk, clock.now_ms() // 60_000))
    chosen, pooled = found or (None, None)
    asked = {" × ".join(text.split("+")) for text in project.combinations}
    named = [(" × ".join(name.split(",")), share / 1000) for name, share in chosen or ()]
    return {
        "usual": [" × ".join(dims) for dims in DEFAULT_PAIRS],
        "chosen": None if chosen is None else [(name, share) for name, share in named if name not in asked],
        "pooled": None if pooled is None else [(" × ".join(name.split(",")), sessions) for name, sessions in pooled],
    }


def _shown(channel: Channel) -> str:
    """Where a channel goes, without its secrets."""
    public = [field for field, _, secret, _ in CHANNEL_FIELDS.get(channel.kind, ()) if not secret]
    values = [channel.config.get(field) for field in public]
    return ", ".join(", ".join(value) if isinstance(value, list) else str(value) for value in values if value)
