"""Making a project with everything it needs to take its first event."""

import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db import transaction

from funnelwatch.core.funnel import Step
from funnelwatch.projects.models import (
    ApiToken,
    AuditRow,
    Funnel,
    Member,
    Organisation,
    Project,
    WriteKey,
    steps_to_json,
)


@dataclass(frozen=True)
class NewProject:
    """What was made. Token and password can be read here and never again; no password where the admin existed already."""

    project: Project
    write_key: str
    api_token: str
    admin_email: str
    admin_password: str | None


@transaction.atomic
def create_project(name: str, timezone: str, currency: str, steps: tuple[Step, ...], admin_email: str) -> NewProject:
    """A project with its funnel, a write key, a token and an admin. Raises ValidationError for a bad or taken name."""
    organisation = Organisation.objects.first() or Organisation.objects.create(name=name)
    project = Project(organisation=organisation, name=name, timezone=timezone, currency=currency)
    project.full_clean()
    project.save()
    Funnel.objects.create(project=project, steps=steps_to_json(steps))
    key = WriteKey.objects.create(project=project)
    _, token = ApiToken.issue(project, "first token")
    password = _admin(project, admin_email)
    AuditRow.objects.create(project=project, actor="funnelwatch init", action="project created", target=name)
    return NewProject(project, key.key, token, admin_email, password)


def _admin(project: Project, email: str) -> str | None:
    users = get_user_model().objects
    user = users.filter(username=email).first()
    password = None
    if user is None:
        password = secrets.token_urlsafe(12)
        user = users.create_user(username=email, email=email, password=password)
    Member.objects.create(user=user, project=project, role=Member.Role.ADMIN)
    return password
