"""The shop and people of the pages' tests, and a token of each role."""

from typing import Any

import pytest
from django.test import Client

from funnelwatch.projects.models import ApiToken, Project
from tests.web.conftest import (  # noqa: F401  fixtures
    alice,
    at_now,
    bob,
    charlie,
    event_store,
    incident,
    quick_passwords,
    shop,
)


@pytest.fixture
def as_role(shop: Project) -> Any:  # noqa: F811
    """A client with a token of the given role."""

    def make(role: str, project: Project = shop) -> Client:
        _, text = ApiToken.issue(project, f"{role} program", role)
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make
