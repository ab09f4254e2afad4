"""Who may see and do what: every page and every API call asks here."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet

from funnelwatch.projects.models import Member, Project

_RANK = {Member.Role.VIEWER: 0, Member.Role.RESPONDER: 1, Member.Role.ADMIN: 2}


def projects_of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Project]:
    """The projects a signed-in person is a member of, by name."""
    return Project.objects.filter(members__user_id=user.pk).order_by("name")


def role_in(user: AbstractBaseUser | AnonymousUser, project: Project) -> str | None:
    """The person's role in the project, None for a stranger."""
    return Member.objects.filter(user_id=user.pk, project=project).values_list("role", flat=True).first()


def allows(role: str | None, needed: str) -> bool:
    """Whether `role` reaches `needed`: a viewer reads, a responder acts on incidents, an admin sets up."""
    return role is not None and _RANK[Member.Role(role)] >= _RANK[Member.Role(needed)]
