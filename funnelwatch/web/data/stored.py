"""Reading what lies in the event store; a page stands without it and says so."""

import json
import logging
from collections.abc import Callable
from typing import TypeVar

from funnelwatch import pipeline
from funnelwatch.projects.models import Project
from funnelwatch.store.client import Client, StoreUnavailable
from funnelwatch.store.queries import states
from funnelwatch.web.payloads import OVERVIEW, Overview

T = TypeVar("T")
log = logging.getLogger(__name__)


def client() -> Client:
    """The event store of this process. Raises StoreUnavailable."""
    return pipeline.runtime().client


def overview(project: Project) -> Overview | None:
    """What the last tick said of the project; None before the first tick or while the store is away."""
    found = ask(lambda: states.load(client(), project.pk, "", *OVERVIEW))
    return None if found is None else json.loads(found[1])


def reachable() -> bool:
    """Whether the event store answers."""
    return ask(lambda: client().query("SELECT 1")) is not None


def ask(question: Callable[[], T]) -> T | None:
    """The answer, or None (and a line in the log) while the store cannot be reached. Any other error is ours and is raised."""
    try:
        return question()
    except StoreUnavailable as error:
        log.warning("event store: %s", error)
        return None
