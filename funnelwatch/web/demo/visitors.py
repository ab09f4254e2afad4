"""The simulated visitors, sending what they do over HTTP as it happens."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx

from funnelwatch.core import clock
from funnelwatch.simulate import Simulation

BATCH = 100
RETRY_SECONDS = 1.0


def shop(simulation: Simulation, since: datetime, url: str, write_key: str, told: Callable[[datetime], None]) -> None:
    """Send everything from `since` on at its time, without end; `told(until)` after what was accepted."""
    arrivals = simulation.arrivals(since)
    with httpx.Client(base_url=url, auth=(write_key, ""), timeout=10) as client:
        for batch in _due(arrivals):
            _send(client, [_fresh(message) for _, message in batch])
            told(batch[-1][0])


def _due(arrivals: Iterator[tuple[datetime, dict[str, Any]]]) -> Iterator[list[tuple[datetime, dict[str, Any]]]]:
    """Arrivals in batches, none before its time."""
    batch: list[tuple[datetime, dict[str, Any]]] = []
    for arrival in arrivals:
        ahead = (arrival[0] - clock.now()).total_seconds()
        if batch and (ahead > 0 or len(batch) == BATCH):
            yield batch
            batch = []
        time.sleep(max(0.0, (arrival[0] - clock.now()).total_seconds()))
        batch.append(arrival)


def _fresh(message: dict[str, Any]) -> dict[str, Any]:
    """As a client sends it: times of sending and receipt are not its to say."""
    return {name: value for name, value in message.items() if name not in ("sentAt", "receivedAt")}


def _send(client: httpx.Client, messages: list[dict[str, Any]]) -> None:
    """Until it is accepted, as an SDK does."""
    while True:
        try:
            response = client.post("/v1/batch", json={"batch": messages})
            if response.status_code == 200:
                return
        except httpx.TransportError:
            pass  # the server restarts or is busy
        time.sleep(RETRY_SECONDS)
