"""Finding what a command's words name, or saying what there is."""

from datetime import UTC, datetime

from funnelwatch.projects.models import Project
from funnelwatch.web.errors import Error


def project_named(name: str) -> Project:
    """The project. Raises Error that lists those there are."""
    project = Project.objects.filter(name=name).first()
    if project is None:
        names = ", ".join(Project.objects.order_by("name").values_list("name", flat=True)) or "none yet"
        raise Error(f"there is no project {name!r} (there are: {names}); make it with: funnelwatch init --project {name}")
    return project


def moment(text: str | None, option: str) -> datetime | None:
    """An ISO 8601 time, in UTC where it says no zone; None for none. Raises Error."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Error(f"{option} takes a time like 2026-01-31T12:00:00Z, not {text!r}") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
