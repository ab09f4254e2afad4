"""The funnel explorer: how many made each step, with the doubt, whole and by one dimension."""
from dataclasses import dataclass
from typing import Any
from django.http import QueryDict
from funnelwatch.projects.models import Project
@dataclass(frozen=True, slots=True)
class Filters:
    by: str = ""
    @classmethod
    def of(cls, params: QueryDict, project: Project) -> "Filters":
        return cls()
def context(project: Project, filters: Filters) -> dict[str, Any]:
    return {}
