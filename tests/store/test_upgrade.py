"""A store of an earlier version, brought up to today's schema."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_SKETCHES = """
import json, sys
from funnelwatch.store import migrate as m
from funnelwatch.store.client import connect

client = connect(sys.argv[1])
known = m.migrations()
m.migrations = lambda: known[:9]
m.migrate(client)


def write(version, durations, events):
    for table in ("event_minute", "endpoint_minute"):
        client.command(
            f"INSERT INTO {table} (project_id, minute, version, events, latency, retention_days)"
            " SELECT 1, intDiv(toUnixTimestamp(now()), 60), {version:UInt64}, {events:UInt32}, arrayReduce('quantilesDDState(0.01, 0.5, 0.95)', {durations:Array(Float64)}), 400",
            {"version": version, "events": events, "durations": durations},
        )


write(1, [250.0], 1)
write(2, [100.0, 100.0, 100.0, 900.0, 900.0], 5)
write(3, [float(n) for n in range(1, 1001)], 1000)
write(4, [], 7)
statements = known[9].statements()
for statement in statements:
    if statement.startswith("EXCHANGE TABLES event_minute_next"):  # a node that was not stopped rolls a minute up
        write(5, [40.0], 1)
    client.command(statement)
exchanges = [number for number, statement in enumerate(statements) if statement.startswith("EXCHANGE")]
for stopped in (number for exchange in exchanges for number in (exchange, exchange + 1)):
    for statement in statements[:stopped]:
        client.command(statement)
m.migrations = lambda: known
m.migrate(client)
told = {
    table: [list(row) for row in client.query(f"SELECT version, events, finalizeAggregation(latency) FROM {table} ORDER BY version")]
    for table in ("event_minute", "endpoint_minute")
}
print(json.dumps(told))
"""


def test_sketches_made_anew_tell_what_the_old_ones_told_however_often_it_was_stopped(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _SKETCHES, str(tmp_path / "store")], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    for rows in json.loads(run.stdout).values():
        assert [row[:2] for row in rows] == [[1, 1], [2, 5], [3, 1000], [4, 7], [5, 1]]
        one, two, many, none, meanwhile = (quantiles for _, _, quantiles in rows)
        assert one == pytest.approx([250, 250], rel=0.02)
        assert two == pytest.approx([100, 900], rel=0.02)
        assert many == pytest.approx([500, 950], rel=0.02)
        assert none[0] != none[0]
        assert meanwhile == pytest.approx([40, 40], rel=0.02)
