"""Webhooks of other systems: changes go to the ledger, orders onto the spool."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.changes import hooks
from funnelwatch.ingest.spool import SpoolFull
from funnelwatch.projects.models import Project


def _accept_events(project_id: int, messages: list[dict[str, Any]]) -> hooks.Accepted:
    """Make server-side events durable. Raises TryLater when the spool is full."""
    try:
        counts = pipeline.take_messages(Project.objects.get(pk=project_id), messages)
    except SpoolFull as error:
        raise hooks.TryLater(str(error)) from error
    return counts.accepted, counts.rejected


receive = hooks.receiver(_accept_events)
