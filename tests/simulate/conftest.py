"""The case study's last hours and its twin's, played once for all tests: a day of history is enough to set the clocks."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from funnelwatch.simulate import Simulation

Message = dict[str, Any]
Played = tuple[Simulation, list[Message]]


@cache
def _play(scenario: str) -> Played:
    simulation = Simulation(scenario, days=1)
    return simulation, list(simulation.messages(since=simulation.history_until))


@pytest.fixture
def play() -> Callable[[str], Played]:
    """The simulation of a scenario with one day of history, and its messages after that."""
    return _play


@pytest.fixture
def by_session() -> Callable[[Iterable[Message]], dict[str, list[Message]]]:
    """Browser messages by the session they belong to."""
    return _by_session


def _by_session(messages: Iterable[Message]) -> dict[str, list[Message]]:
    sessions = defaultdict(list)
    for message in messages:
        sessions[message["messageId"].split("-")[0]].append(message)
    return sessions
