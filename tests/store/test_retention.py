"""A shop's data goes after its tier, whole partitions at a time, in every table that grows; an upgrade loses none before."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from funnelwatch.core import retention
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events

DAY_MS = 86_400_000
GROWING = ("events", "journey", "funnel_minute", "event_minute", "visitors")


def a_purchase(project_id: int, ts: int) -> list[Event]:
    return [
        Event(project_id=project_id, message_id=f"{ts}-{name}", name=name, ts=ts + at, received_at=ts + at, visitor_id="v", session_id=str(ts))
        for at, name in enumerate(("view_item", "purchase"))
    ]  # fmt: skip


def tiers_of(store: Client, table: str, project_id: int) -> set[int]:
    sql = f"SELECT DISTINCT retention_days FROM {table} WHERE project_id = {{p:UInt32}}"
    return set(store.query(sql, {"p": project_id}).columns[0])


def rolled_up(store: Client, project_id: int, ts: int) -> None:
    funnel = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    roll_up(store, funnel, "", ts // 60_000, ts // 60_000 + 1)


@pytest.mark.parametrize("tier", [30, 800])
def test_events_and_what_is_made_of_them_carry_the_projects_tier(store: Client, project_id: int, tier: int) -> None:
    recently = int(time.time() * 1000) - DAY_MS
    events.insert(store, a_purchase(project_id, recently), f"tier-{project_id}", {project_id: tier})
    rolled_up(store, project_id, recently)
    assert {table: tiers_of(store, table, project_id) for table in GROWING} == dict.fromkeys(GROWING, {tier})


def test_history_older_than_its_tier_is_imported_to_stay(store: Client, project_id: int) -> None:
    long_ago = int(time.time() * 1000) - 45 * DAY_MS
    events.insert(store, a_purchase(project_id, long_ago), f"old-{project_id}", {project_id: 30})
    rolled_up(store, project_id, long_ago)
    assert {table: tiers_of(store, table, project_id) for table in GROWING} == dict.fromkeys(GROWING, {retention.IMPORTED})


@pytest.mark.parametrize("table", [*GROWING, "endpoint_minute"])
def test_an_expired_partition_is_dropped_and_a_longer_tier_beside_it_stays(store: Client, project_id: int, table: str) -> None:
    then = (int(time.time() * 1000) - 45 * DAY_MS) // 60_000 * 60_000
    times = {"events": {"ts": [then]}, "visitors": {"first_ts": [then]}}.get(table, {"minute": [then // 60_000]})
    # tiers of this test's own, so that the partitions hold nothing else
    for tier in (31, 91):
        store.insert(table, {"project_id": [project_id], **times, "retention_days": [tier]})
    partitions = store.query(
        f"SELECT DISTINCT _partition_id FROM {table} WHERE project_id = {{p:UInt32}}", {"p": project_id}
    ).columns[0]
    assert len(partitions) >= 1
    for partition in partitions:
        store.command(f"OPTIMIZE TABLE {table} PARTITION ID '{partition}' FINAL")
    assert tiers_of(store, table, project_id) == {91}


_UPGRADE = """
import json, sys, time
from funnelwatch.store import migrate as m
from funnelwatch.store.client import connect
client = connect(sys.argv[1])
known = m.migrations()
m.migrations = lambda: known[:2]
m.migrate(client)
now = int(time.time() * 1000)
for ago in (10, 900):
    ts = now - ago * 86_400_000
    client.insert("events", {"project_id": [1], "message_id": [str(ago)], "name": ["view_item"], "ts": [ts], "visitor_id": ["v"], "retention_days": [400 if ago < 400 else 14_600]})
    for table in ("journey", "funnel_minute", "event_minute"):
        client.insert(table, {"project_id": [1], "minute": [ts // 60_000], "version": [ago]})
m.migrations = lambda: known
for statement in known[2].statements()[:9]:  # as if cut short in the middle
    client.command(statement)
applied = m.migrate(client)
client.insert("events", {"project_id": [1], "message_id": ["new"], "name": ["view_item"], "ts": [now], "visitor_id": ["v"], "retention_days": [30]})
rows = {t: [list(row) for row in client.query(f"SELECT version, retention_days FROM {t} ORDER BY ALL")] for t in ("journey", "funnel_minute", "event_minute")}
visitors = [list(row) for row in client.query("SELECT retention_days, count() FROM visitors GROUP BY ALL ORDER BY ALL")]
print(json.dumps([applied, rows, visitors, m.migrate(client)]))
"""


def test_an_upgrade_cut_short_and_begun_again_keeps_every_row(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _UPGRADE, str(tmp_path / "store")], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    applied, rows, visitors, again = json.loads(run.stdout)
    assert (applied[0], again) == ("0003_retention", [])
    assert rows == dict.fromkeys(("journey", "funnel_minute", "event_minute"), [[10, 400], [900, 14_600]])
    assert visitors == [[30, 1], [400, 1], [14_600, 1]]
