"""What a caller may see and do: a token its one project, a member the projects of the membership."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from funnelwatch.api.auth import TokenUser
from funnelwatch.incidents.respond import Actor
from funnelwatch.projects import access
from funnelwatch.projects.models import AuditRow, Project


def projects(request: Request) -> QuerySet[Project]:
    """All projects of the caller, narrowed by `?project=name`."""
    user = request.user
    mine = Project.objects.filter(pk=user.token.project_id) if isinstance(user, TokenUser) else access.projects_of(user)
    name = request.query_params.get("project")
    return mine.filter(name=name) if name else mine


def project(request: Request) -> Project:
    """The one project a call is about. Raises ValidationError when a member of several did not say which."""
    found = list(projects(request)[:2])
    if len(found) != 1:
        raise exceptions.ValidationError({"project": ["Say which project with ?project=name."]})
    return found[0]


def role(request: Request, of: Project) -> str | None:
    """The caller's role in a project."""
    user = request.user
    if isinstance(user, TokenUser):
        return user.token.role if user.token.project_id == of.pk else None
    return access.role_in(user, of)


def require(request: Request, of: Project, needed: str) -> None:
    """Raises PermissionDenied unless the caller reaches the role."""
    if not access.allows(role(request, of), needed):
        raise exceptions.PermissionDenied(f"This needs the role {needed} in {of.name}.")


def actor(request: Request) -> Actor:
    """Who acts, for timelines and the audit log."""
    user = request.user
    if isinstance(user, TokenUser):
        return Actor(str(user))
    return Actor(user.get_full_name() or user.get_username(), user)


def audit(request: Request, of: Project, action: str, target: str, **data: Any) -> None:
    """Write down what was changed."""
    AuditRow.objects.create(project=of, actor=actor(request).name, action=action, target=target[:200], data=data)


class MayWrite(BasePermission):
    """Reading is every member's; writing needs the view's `write_role` in the project."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in ("GET", "HEAD", "OPTIONS") or view.detail:
            return True
        require(request, project(request), view.write_role)
        return True

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            require(request, view.project_of(obj), view.write_role)
        return True
