"""`funnelwatch incidents`."""

from typing import Any

from django.core.management.base import CommandParser

from funnelwatch.incidents.contract import to_json
from funnelwatch.incidents.models import Incident
from funnelwatch.web.lookup import project_named
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "List a project's incidents with causes and timelines, those of its replays included (`run` names the replay)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True)

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        prepare_database()
        project = project_named(options["project"])
        incidents = (
            Incident.objects.filter(project=project)
            .select_related("project")
            .prefetch_related("causes", "timeline")
            .order_by("started_at", "pk")
        )
        return {"project": project.name, "incidents": [to_json(incident) | {"run": incident.run_id} for incident in incidents]}

    def summary(self, result: dict[str, Any]) -> str:
        return "\n".join(lines(result["incidents"]))


def lines(incidents: list[dict[str, Any]]) -> list[str]:
    """An incident in three lines: what, when and where, and the first cause."""
    if not incidents:
        return ["No incidents."]
    text = []
    for incident in incidents:
        text += [
            f"INC-{incident['id']} {incident['severity']} {incident['kind']} · {incident['title']}",
            f"    {incident['step']} · began {incident['started_at']} · found {incident['detected_at']} · {incident['status']}",
        ]
        if incident["causes"]:
            cause = incident["causes"][0]
            text.append(f"    likely cause: {cause['title']} ({cause['probability']:.0%})")
    return text
