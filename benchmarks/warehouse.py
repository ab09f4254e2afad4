"""What the store costs: import, disk, a minute's and a day's roll-up, the funnel report against a bare scan, and how all that grows.

`python -m benchmarks.warehouse [--quick] [--events N] [--json]`. A store grows by a day's events ten times or more; everything is measured after the
first day and at the full size. `scan_s` is ClickHouse's own `windowFunnel` over the same rows in the same run, `fold_s` the way that sorts every session into
an array and walks it. The import goes through `funnelwatch import`, a file of Segment messages, start of the process included, until all is stored.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import _shop_columns
from benchmarks._report import report
from funnelwatch.core.funnel import FunnelDef, default_steps
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client, connect
from funnelwatch.store.migrate import migrate
from funnelwatch.store.native import Column
from funnelwatch.store.queries import events, funnels, health
from funnelwatch.store.queries.span import Span

PROJECT, START = 1, 1_790_035_200_000  # a midnight UTC
DAY_MS, DAY = 86_400_000, 1_440
#: At most this many a day, and at least ten days.
EVENTS_A_DAY = 1_000_000
#: Rows an insert, as a bulk import writes them.
BLOCK = 100_000
FUNNEL = FunnelDef(1, PROJECT, "storefront", 1, default_steps())
_CONDITIONS = ", ".join(f"name = '{step.name}'" for step in FUNNEL.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one million events")
    parser.add_argument("--events", type=int, default=0, help="how many instead of ten million")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = options.events or (1_000_000 if options.quick else 10_000_000)
    with tempfile.TemporaryDirectory(prefix="fw-warehouse-") as folder:
        figures = {"import_eps": _import_rate(Path(folder), 0.3 if options.quick else 0.5)}
        figures |= _store(Path(folder) / "chdb", size)
    figures["rss_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("warehouse", figures)


def _import_rate(folder: Path, days: float) -> float:
    """Events a second of `funnelwatch import`."""

    def run(*arguments: str) -> dict[str, object]:
        command = [sys.executable, "manage.py", *arguments, "--data", str(folder / "import"), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        return dict(json.loads(done.stdout.splitlines()[-1]))

    run("simulate", "case-study", "--out", str(folder / "shop"), "--days", str(days), "--sessions-per-day", "200000")
    run("init", "--project", "bench")
    seconds, result = _timed(lambda: run("import", str(folder / "shop" / "events.jsonl.gz"), "--project", "bench", "--format", "segment"))
    return float(str(result["imported"])) / (seconds - float(str(result["counting_s"])))


def _store(path: Path, size: int) -> dict[str, float]:
    client = connect(path)
    migrate(client)
    a_day = min(EVENTS_A_DAY, size // 10)
    opening = _grow(client, range(1), a_day)
    first = _measure(client, 1)
    days = round(size / a_day)
    # The opening day has no day before it, by which cohorts are chosen and visitors known: growth counts from the second one on.
    second = _grow(client, range(1, 2), a_day)
    rest = _grow(client, range(2, days), a_day)
    whole = {name: opening[name] + second[name] + rest[name] for name in rest}
    figures = _measure(client, days)
    later = {name: second[name] + rest[name] for name in rest}
    spent = [part["store_s"] + part["rollup_s"] for part in (second, later)]
    figures |= {
        "events": whole["rows"],
        "store_eps": whole["rows"] / whole["store_s"],
        "rollup_eps": whole["rows"] / whole["rollup_s"],
        "backfill_day_s": later["rollup_s"] / (days - 1),
        "events_a_day": a_day,
        "cohorts": client.query(f"SELECT uniqExact(dims, value) FROM funnel_minute WHERE minute >= {START // 60_000 + (days - 1) * DAY}").scalar(),
        "growth_exponent": math.log(spent[1] / spent[0]) / math.log(later["rows"] / second["rows"]),
        "rollup_minute_growth": figures["rollup_minute_s"] / first["rollup_minute_s"],
        "bytes_per_event": next(row["bytes"] for row in health.tables(client) if row["table"] == "events") / whole["rows"],
        "bytes_per_event_with_rollups": sum(row["bytes"] for row in health.tables(client)) / whole["rows"],
    }
    figures |= {f"bytes_{row['column']}": row["bytes"] / whole["rows"] for row in health.columns(client, "events")[:8]}
    client.close()
    return figures


def _grow(client: Client, days: range, a_day: int) -> dict[str, float]:
    """Store and roll up these days; rows and the seconds spent at each."""
    rows, stored, rolled = 0, 0.0, 0.0
    for day in days:
        columns = _shop_columns.day(PROJECT, day, START + day * DAY_MS, a_day)
        rows += len(columns["ts"])
        minute = START // 60_000 + day * DAY
        stored += _timed(partial(_insert, client, columns, day))[0]
        rolled += _timed(partial(roll_up, client, FUNNEL, "", minute, minute + DAY))[0]
        print(f"day {day + 1}: {rows:,} events, stored in {stored:.1f} s, rolled up in {rolled:.1f} s", file=sys.stderr)
    return {"rows": float(rows), "store_s": stored, "rollup_s": rolled}


def _insert(client: Client, columns: Mapping[str, Column], day: int) -> None:
    for begin in range(0, len(columns["ts"]), BLOCK):
        block = {name: column[begin : begin + BLOCK] for name, column in columns.items()}
        events.insert_columns(client, block, f"{day}-{begin}")


def _measure(client: Client, days: int) -> dict[str, float]:
    """The questions at the present size, when the merges are done that weeks of growth in minutes leave behind. Median of five, of scans three or one."""
    _let_merge(client)
    first, end = START // 60_000, START // 60_000 + days * DAY
    span, noon = Span(FUNNEL, first, end, end + DAY), end - DAY // 2
    scan = _median(lambda: client.query(_scan("", "level")), 3)
    figures = {
        "rollup_minute_s": _median(lambda: roll_up(client, replace(FUNNEL, version=2), "", noon, noon + 1)),
        "report_s": _median(lambda: funnels.report(client, span)),
        "report_by_s": _median(lambda: funnels.report(client, span, ("country",))),
        "scan_s": scan,
        "scan_by_s": _timed(lambda: client.query(_scan("any(country) AS country, ", "country, level")))[0],
        "fold_s": _timed(lambda: client.query(_FOLD))[0],
    }
    return figures | {"report_over_scan_ratio": figures["report_s"] / scan}


def _let_merge(client: Client) -> None:
    """Wait until no merge has been running for two seconds; at most two minutes."""
    quiet, give_up = time.monotonic(), time.monotonic() + 120
    while time.monotonic() < min(quiet + 2, give_up):
        if client.query("SELECT count() FROM system.merges").scalar():
            quiet = time.monotonic()
        time.sleep(0.1)


def _scan(column: str, groups: str) -> str:
    return f"""
        SELECT {groups}, count() FROM (
            SELECT {column}windowFunnel(3600000)(toUInt64(toUnixTimestamp64Milli(ts)), {_CONDITIONS}) AS level
            FROM events WHERE project_id = {PROJECT} GROUP BY visitor_id, session_id
        ) GROUP BY {groups}"""


_FOLD = f"""
    SELECT level, count() FROM (
        SELECT arrayFold((reached, event) -> if(event.2 = reached + 1, reached + 1, reached),
            arraySort(groupArray((toUnixTimestamp64Milli(ts), indexOf({[step.name for step in FUNNEL.steps]}, toString(name))))), toUInt64(0)) AS level
        FROM events WHERE project_id = {PROJECT} GROUP BY visitor_id, session_id
    ) GROUP BY level"""


def _median(call: Callable[[], object], times: int = 5) -> float:
    return sorted(_timed(call)[0] for _ in range(times))[times // 2]


def _timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
