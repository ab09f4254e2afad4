"""Whether the event store answers, for `doctor`."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.store.queries import engine, health
from funnelwatch.web.progress import Progress

EXPIRY_DAYS = 7


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{"version", "ahead_s", "expiring"}`: the engine's version, by how many seconds its clock is ahead of ours, and what goes by
    retention within EXPIRY_DAYS as `[{table, partitions, rows}]`."""
    client = pipeline.runtime().client
    version, now_ms = engine.about(client)
    expiring = health.expiring(client, now_ms + EXPIRY_DAYS * 86_400_000)
    return {"version": version, "ahead_s": (now_ms - clock.to_ms(clock.now())) / 1000, "expiring": expiring}
