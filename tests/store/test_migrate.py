"""The schema: applied once, never changed after, told truly, and made for a cluster from the same files."""

from importlib.resources import files

import pytest

from funnelwatch.store import cluster
from funnelwatch.store.client import Client
from funnelwatch.store.migrate import SchemaError, current, migrate, migrations

_VISITORS = next(migration for migration in migrations() if migration.name == "0009_visitors")


def test_applying_twice_changes_nothing(store: Client) -> None:
    before = current(store)
    assert migrate(store) == []
    assert current(store) == before


def test_current_sql_is_the_schema_of_today(store: Client) -> None:
    """To renew it: write `current(client)` of a fresh store into the file."""
    assert files("funnelwatch.store").joinpath("schema/current.sql").read_text() == current(store)


def test_every_migration_is_recorded_with_its_checksum(store: Client) -> None:
    rows = store.query("SELECT name, checksum FROM schema_migrations ORDER BY id")
    assert list(rows) == [(migration.name, migration.checksum) for migration in migrations()]


@pytest.mark.parametrize("stopped", range(len(_VISITORS.statements()) + 1))
def test_a_table_made_anew_has_everyone_whenever_it_was_stopped_and_begun_again(store: Client, stopped: int) -> None:
    before, project = current(store), 900 + stopped
    seen = []

    def visit() -> None:
        seen.append(f"v{len(seen):02}")
        store.command(
            "INSERT INTO events (project_id, message_id, name, ts, received_at, visitor_id, retention_days)"
            " SELECT {p:UInt32}, {v:String}, 'x', now64(3), now64(3), {v:String}, 400",
            {"p": project, "v": seen[-1]},
        )

    visit()
    for statement in (*_VISITORS.statements()[:stopped], *_VISITORS.statements()):
        store.command(statement)
        visit()
    assert store.query("SELECT arraySort(groupUniqArray(visitor_id)) FROM visitors WHERE project_id = {p:UInt32}", {"p": project}).scalar() == seen
    assert current(store) == before


def test_a_store_newer_than_the_code_is_refused_with_what_to_do(store: Client) -> None:
    store.insert("schema_migrations", {"id": [9999], "name": ["9999_tomorrow"], "checksum": ["x"]})
    with pytest.raises(SchemaError, match="9999_tomorrow, newer than this version of FunnelWatch. Upgrade"):
        migrate(store)
    store.command("ALTER TABLE schema_migrations DELETE WHERE id = 9999 SETTINGS mutations_sync = 2")


def test_a_file_changed_after_it_was_applied_is_refused(store: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funnelwatch.store.migrate.Migration.checksum", property(lambda self: "other"))
    with pytest.raises(SchemaError, match="0001_events was changed after it was applied"):
        migrate(store)


@pytest.mark.parametrize("statement", cluster.statements("shop"))
def test_the_engine_parses_every_statement_for_a_cluster(store: Client, statement: str) -> None:
    told = store.query("SELECT formatQuery({sql:String})", {"sql": statement}).scalar()
    assert "ON CLUSTER shop" in told
    assert "non_replicated" not in told
    assert ("Replicated" in told) or ("Distributed" in told) or told.startswith(("CREATE MATERIALIZED VIEW", "CREATE VIEW"))


def test_events_are_sharded_by_visitor_so_that_a_session_stays_whole() -> None:
    made = "\n".join(cluster.statements("shop"))
    assert "'events_local', cityHash64(visitor_id))" in made
    assert "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/rollup_minutes', '{replica}', version)" in made
