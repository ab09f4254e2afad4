"""Whether the event store answers, for `doctor`."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.store.queries import engine
from funnelwatch.web.progress import Progress


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{"version", "ahead_s"}`: the engine's version and by how many seconds its clock is ahead of ours."""
    version, now_ms = engine.about(pipeline.runtime().client)
    return {"version": version, "ahead_s": (now_ms - clock.to_ms(clock.now())) / 1000}
