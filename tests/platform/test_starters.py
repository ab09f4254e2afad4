"""Processes of one installation that start together bring the event store up to date once."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from funnelwatch.pipeline.process import MIGRATING
from funnelwatch.store import migrate
from funnelwatch.store.server import NativeClient
from tests.platform.processes import wait_until
from tests.platform.services import clickhouse, free_port, postgresql

_START = "import django; django.setup()\nfrom funnelwatch import pipeline\npipeline.start()\npipeline.stop()"
MINUTES = 1_000


def test_two_that_start_at_once_upgrade_an_old_store_once_and_keep_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = migrate.migrations()
    with postgresql() as database, clickhouse(tmp_path / "clickhouse", free_port()) as url, psycopg.connect(database) as operator:
        store = NativeClient(url)
        with monkeypatch.context() as old:
            old.setattr(migrate, "migrations", lambda: known[:2])
            migrate.migrate(store)
        newest = int(time.time()) // 60
        store.insert("funnel_minute", {"project_id": [1] * MINUTES, "minute": [newest - n for n in range(MINUTES)], "entered": [1] * MINUTES})
        operator.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        starters = [_start(database, url, tmp_path / str(number)) for number in range(2)]
        wait_until(lambda: _waiting(operator) == 2, 60)  # both stand before the first statement
        assert store.query("SELECT max(id) FROM schema_migrations").scalar() == 2
        operator.execute("SELECT pg_advisory_unlock(%s)", [MIGRATING])
        for starter in starters:
            _, said = starter.communicate(timeout=60)
            assert starter.returncode == 0, said
        assert list(store.query("SELECT id, count() FROM schema_migrations GROUP BY id ORDER BY id")) == [(each.id, 1) for each in known]
        assert store.query("SELECT sum(entered) FROM funnel_minute").scalar() == MINUTES
        assert store.query("SELECT count() FROM system.tables WHERE database = 'default' AND name LIKE '%_next'").scalar() == 0
        store.close()


def test_one_that_finds_another_at_it_for_long_says_so_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    with postgresql() as database, clickhouse(tmp_path / "clickhouse", free_port()) as url, psycopg.connect(database) as operator:
        operator.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        starter = _start(database, url, tmp_path / "late")
        _, said = starter.communicate(timeout=60)
        assert starter.returncode == 1
        assert "StoreUnavailable: Another process brings the event store up to date; try again when it has." in said


def _waiting(operator: psycopg.Connection) -> int:
    row = operator.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return row[0] if row else 0


def _start(database: str, clickhouse_url: str, data: Path) -> subprocess.Popen[str]:
    given: Mapping[str, str] = {
        "DATABASE_URL": database, "CLICKHOUSE_URL": clickhouse_url, "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "FUNNELWATCH_SECRET_KEY": "for tests only, for tests only, for tests only", "FUNNELWATCH_DATA": str(data),
        "DJANGO_SETTINGS_MODULE": "funnelwatch.settings",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", _START], env=os.environ | given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
