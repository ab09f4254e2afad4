"""The case study's evening, played with one fault or another: an hour of history is enough to fill the funnel."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from funnelwatch.simulate import SCENARIOS, Scenario, Simulation
from funnelwatch.simulate.faults import Fault

Message = dict[str, Any]
Played = tuple[Simulation, list[Message]]

BEFORE_THE_RUSH = datetime(2026, 10, 4, 11, 0, tzinfo=UTC)


def _simulate(scenario: str | Scenario) -> Played:
    simulation = Simulation(scenario, days=1 / 24, start=BEFORE_THE_RUSH)
    return simulation, list(simulation.messages(since=simulation.history_until))


_simulate_once = cache(_simulate)


@pytest.fixture
def play() -> Callable[[str], Played]:
    """A scenario's simulation and its messages after an hour of history."""
    return _simulate_once


@pytest.fixture
def play_fault() -> Callable[[Fault], Played]:
    """The same for two hours of the quiet shop with one fault put in."""
    return lambda fault: _simulate(replace(SCENARIOS["quiet"], faults=(fault,), hours=2))


@pytest.fixture
def by_session() -> Callable[[Iterable[Message]], dict[str, list[Message]]]:
    """Messages by the session they belong to."""
    return _by_session


def _by_session(messages: Iterable[Message]) -> dict[str, list[Message]]:
    sessions = defaultdict(list)
    for message in messages:
        sessions[message["messageId"].split("-")[0]].append(message)
    return sessions
