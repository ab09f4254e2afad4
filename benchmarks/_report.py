"""How every benchmark hands over its figures."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def report(name: str, figures: Mapping[str, float | int | bool | None]) -> None:
    """Prints a readable table on standard error and, as the last line of standard output, the figures as one JSON object."""
    width = max(map(len, figures), default=0)
    for key, value in figures.items():
        print(f"{key:<{width}}  {_readable(value)}", file=sys.stderr)
    line = {
        "benchmark": name,
        "figures": dict(figures),
        "machine": {"cores": os.cpu_count(), "cpu": _cpu(), "python": platform.python_version(), "system": platform.platform()},
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
    }
    print(json.dumps(line), flush=True)


def _readable(value: float | int | bool | None) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cpu() -> str:
    """The processor's name, as Linux tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0] if names else platform.processor()


def _commit() -> str:
    """The checked-out commit, `-dirty` where tracked files differ; empty outside a checkout."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
