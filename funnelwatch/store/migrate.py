"""Numbered, forward-only SQL migrations of the event store, each recorded with its checksum."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from funnelwatch.store.client import Client, StoreError

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (id UInt32, name String, checksum String, applied_at DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY id
"""


class SchemaError(StoreError):
    """The store's schema and this code do not fit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One `NNNN_name.sql` file."""

    id: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text as it is in the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]

    def statements(self) -> list[str]:
        """The file's statements: split at a semicolon that ends a line, comment lines taken out."""
        text = "\n".join(line for line in self.sql.splitlines() if not line.startswith("--"))
        return [part.strip() for part in re.split(r";\s*(?:\n|$)", text) if part.strip()]


def migrations() -> list[Migration]:
    """All migrations this code knows, in order."""
    return sorted(_read_files(), key=lambda migration: migration.id)


def migrate(client: Client) -> list[str]:
    """Apply what is missing and return the names applied (empty when up to date).

    Raises SchemaError when the store is newer than the code or an applied file was changed since.
    """
    client.command(_LEDGER)
    known = migrations()
    applied = {row[0]: (row[1], row[2]) for row in client.query("SELECT id, name, checksum FROM schema_migrations")}
    _check(known, applied)
    missing = [migration for migration in known if migration.id not in applied]
    for migration in missing:
        for statement in migration.statements():
            client.command(statement)
        client.insert(
            "schema_migrations",
            {"id": [migration.id], "name": [migration.name], "checksum": [migration.checksum]},
        )
    return [migration.name for migration in missing]


def _read_files() -> Iterator[Migration]:
    for file in files("funnelwatch.store").joinpath("schema").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            yield Migration(int(match[1]), file.name.removesuffix(".sql"), file.read_text())


def _check(known: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    by_id = {migration.id: migration for migration in known}
    for number, (name, checksum) in sorted(applied.items()):
        if number not in by_id:
            raise SchemaError(f"The event store has schema {name}, newer than this version of FunnelWatch. Upgrade FunnelWatch.")
        if by_id[number].checksum != checksum:
            raise SchemaError(f"Migration {name} was changed after it was applied. Restore the file; make a new migration instead.")


def current(client: Client) -> str:
    """Today's schema as the engine states it, one statement a table, by name: what `schema/current.sql` holds."""
    names = re.findall(r"^CREATE (?:TABLE|MATERIALIZED VIEW|VIEW) (\w+)", "\n".join(m.sql for m in migrations()), re.M)
    rows = client.query(
        """
        SELECT formatQuery(replaceOne(create_table_query, concat(currentDatabase(), '.'), '')) FROM system.tables
        WHERE database = currentDatabase() AND name IN {names:Array(String)} ORDER BY name
        """,
        {"names": names},
    )
    return "".join(f"{statement};\n\n" for (statement,) in rows)
