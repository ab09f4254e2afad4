"""How fast events are taken in for good: durable events a second, latency of the acknowledgement, drain rate, memory, losses.

    python -m benchmarks.ingest [--quick] [--json]

Everything runs on this machine: one uvicorn process with ingest, drain and chDB, and this process as load generator with 64
connections. A bare echo and a no-op Django view on the same server in the same run say what the machine could do at all.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import perf_counter

import psutil
import uvloop

from benchmarks._report import report
from benchmarks._sender import Load, get, request, run
from benchmarks._traffic import PLACE, batches

_TEMPLATES = 400
_tokens = itertools.count(1)


class Plan:
    """How long each part takes, in seconds."""

    def __init__(self, quick: bool) -> None:
        self.reference, self.size, self.sustained = (2, 2, 8) if quick else (8, 8, 60)
        self.burst, self.half, self.soak = (5, 5, 15) if quick else (10, 30, 300)
        self.drain_events = 100_000 if quick else 500_000


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity; the last line is always JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="funnelwatch-bench-") as directory:
        server = _start(Path(directory))
        try:
            port = int(server.stdout.readline())
            report("ingest", uvloop.run(measure(port, server.pid, Plan(options.quick))))
        finally:
            server.kill()
            server.wait()


async def measure(port: int, pid: int, plan: Plan) -> dict[str, float]:
    """All figures, one part after the other; nothing is left in the spool between parts."""
    process = psutil.Process(pid)
    figures: dict[str, float] = {}
    sent = 0
    small = next(batches(1, 1))
    for key, path in (("echo_rps", "/echo"), ("noop_django_rps", "/noop")):
        _say(key)
        load = await run(port, itertools.repeat(request(path, small)), plan.reference)
        figures[key] = load.requests / load.seconds
    _say("warming up")
    load = await run(port, _traffic(10), plan.size)
    sent += (load.requests - load.refused) * 10
    await _drained(port)
    for size in (1, 10, 50, 200):
        _say(f"batches of {size}")
        load = await run(port, _traffic(size), plan.size)
        sent += (load.requests - load.refused) * size
        name = "single" if size == 1 else f"batch{size}"
        figures |= {f"{name}_{key}": value for key, value in _latencies(load).items()}
        figures["single_rps" if size == 1 else f"{name}_eps_accepted"] = load.requests * size / load.seconds
        await _drained(port)
    figures["single_over_echo"] = figures["single_rps"] / figures["echo_rps"]

    _say("sustained")
    begun = perf_counter()
    load = await run(port, _traffic(50), plan.sustained)
    await _drained(port)
    sent += (load.requests - load.refused) * 50
    figures["batch50_eps_sustained"] = (load.requests - load.refused) * 50 / (perf_counter() - begun)

    _say("burst")
    load = await run(port, _traffic(50), plan.burst)
    sent += (load.requests - load.refused) * 50
    figures["batch50_eps_burst"] = (load.requests - load.refused) * 50 / load.seconds
    await _drained(port)

    _say("drain alone")
    await get(port, "/control/stop_drain")
    load = await run(port, itertools.islice(_traffic(200), plan.drain_events // 200), 600)
    sent += (load.requests - load.refused) * 200
    begun = perf_counter()
    await get(port, "/control/start_drain")
    await _drained(port)
    figures["drain_eps"] = (load.requests - load.refused) * 200 / (perf_counter() - begun)

    _say("half load")
    half = figures["batch50_eps_sustained"] / 50 / 2
    load = await run(port, _traffic(50), plan.half, per_second=half)
    sent += (load.requests - load.refused) * 50
    figures |= {f"ack_{key}_half_load": value for key, value in _latencies(load).items()}
    figures["refused"] = load.refused

    _say("soak")
    rss: list[float] = []
    watcher = asyncio.create_task(_watch(process, rss))
    load = await run(port, _traffic(50), plan.soak, per_second=half)
    watcher.cancel()
    sent += (load.requests - load.refused) * 50
    third = len(rss) // 3
    figures["rss_growth_mb"] = min(rss[-third:]) - min(rss[:third])
    figures["rss_mb"] = process.memory_info().rss / 2**20
    await _drained(port)

    stored = json.loads(await get(port, "/control/stored"))
    cpu = process.cpu_times()
    return figures | {
        "events": sent,
        "lost": sent - stored["distinct"],
        "duplicated": stored["stored"] - stored["distinct"],
        "cpu_us_per_event": (cpu.user + cpu.system) / max(sent, 1) * 1e6,
    }


async def _watch(process: psutil.Process, rss: list[float]) -> None:
    """Its memory in MB every second. Merges take some 50 MB and give them back: what stays is seen in the least of many readings."""
    while True:
        rss.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(1)


def _start(directory: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"FUNNELWATCH_RATE_PER_SECOND": "1000000000", "FUNNELWATCH_RATE_BURST": "1000000000"}
    command = [sys.executable, "-m", "benchmarks._ingest_server", str(directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _traffic(size: int) -> Iterator[bytes]:
    """Requests without end, each with message ids of its own."""
    return (template.replace(PLACE, b"%016x" % next(_tokens)) for template in itertools.cycle(_templates(size)))


@cache
def _templates(size: int) -> list[bytes]:
    # once, and before the clock runs: 20,000 events take this process half a second
    return [request("/v1/batch", body) for body in batches(size, _TEMPLATES)]


def _latencies(load: Load) -> dict[str, float]:
    return {"p50_ms": load.quantile(0.5), "p99_ms": load.quantile(0.99), "max_ms": load.quantile(1)}


async def _drained(port: int) -> None:
    """Returns when every event sent so far is in the store."""
    while json.loads(await get(port, "/control/status"))["waiting"]:
        await asyncio.sleep(0.1)


def _say(part: str) -> None:
    print(f"{part} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
