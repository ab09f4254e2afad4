"""What every endpoint shares: the caller's projects only, the right to write, an audit row for each change."""

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework import viewsets
from rest_framework.permissions import IsAuthenticated

from funnelwatch.api import scope
from funnelwatch.projects.models import Project


class Scoped(viewsets.GenericViewSet):
    """Rows of the caller's projects. `project_path` leads from a row to its project, `noun` names it in the audit log."""

    permission_classes = (IsAuthenticated, scope.MayWrite)
    write_role = "admin"
    project_path = "project"
    noun = ""

    def get_queryset(self) -> QuerySet[Any]:
        """Only what the caller may see."""
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().filter(**{f"{self.project_path}__in": scope.projects(self.request)})

    def project_of(self, row: Model) -> Project:
        """The project a row belongs to."""
        for name in self.project_path.split("__"):
            row = getattr(row, name)
        return row  # type: ignore[return-value]

    def note(self, row: Model, verb: str, **data: Any) -> None:
        """An audit row about `row`."""
        scope.audit(self.request, self.project_of(row), f"{self.noun}.{verb}", str(getattr(row, "name", row.pk)), id=row.pk, **data)
