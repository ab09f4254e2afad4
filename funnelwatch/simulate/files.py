"""A scenario as files: `events.jsonl.gz`, `changes.jsonl` and `truth.json`."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from funnelwatch.core.clock import from_ms
from funnelwatch.simulate.scenarios import Scenario
from funnelwatch.simulate.simulation import DEFAULT_SEED, Simulation

_GZIP_LEVEL = 3  # level 6 takes twice as long for a file a quarter smaller

#: Called with the share of simulated time done and the number of events so far.
Progress = Callable[[float, int], None]


def write(
    scenario: str | Scenario,
    out_dir: Path,
    seed: int = DEFAULT_SEED,
    days: float | None = None,
    sessions_per_day: float | None = None,
    start: datetime | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the scenario's three files into `out_dir`; the same arguments give the same bytes.

    Returns `{from, until, history_until, events}`. Raises what `Simulation` raises, and OSError.
    """
    simulation = Simulation(scenario, seed, days, sessions_per_day, start)
    out_dir.mkdir(parents=True, exist_ok=True)
    truth = simulation.truth()
    (out_dir / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    (out_dir / "changes.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(simulation.changes()))
    events = _write_events(simulation, out_dir / "events.jsonl.gz", progress)
    return {**{key: truth[key] for key in ("from", "until", "history_until")}, "events": events}


def _write_events(simulation: Simulation, path: Path, progress: Progress | None) -> int:
    encoder, events = msgspec.json.Encoder(), 0
    span = simulation.until - simulation.start
    # Neither name nor time of writing in the header: they would make two runs differ.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as file:
        for block in simulation.blocks(simulation.start, simulation.until):
            file.write(encoder.encode_lines([letter[3] for letter in block]))
            events += len(block)
            if progress:
                progress((from_ms(block[-1][0]) - simulation.start) / span, events)
    return events
