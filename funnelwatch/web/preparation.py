"""Making the database fit this version before anything uses it."""

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from funnelwatch.web.errors import Error

_OURS = {"projects", "incidents"}


def prepare_database() -> None:
    """Apply what is missing. Raises Error when the database cannot be reached, or was written by a newer FunnelWatch."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        executor = MigrationExecutor(connection)
        loader = executor.loader
        newer = sorted(key for key in loader.applied_migrations if key[0] in _OURS and key not in loader.disk_migrations)
        if newer:
            raise Error(
                f"{_where()} was written by a newer FunnelWatch (it has {'.'.join(newer[0])}): "
                "run that version, or restore a backup made by this one"
            )
        if executor.migration_plan(loader.graph.leaf_nodes()):
            call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise Error(f"cannot use {_where()}: {str(error).strip().splitlines()[0]}; start it, or correct DATABASE_URL") from error


def _where() -> str:
    if settings.EMBEDDED:
        return f"the database in {settings.DATA_DIR}"
    options = settings.DATABASES["default"]
    return f"the database {options['NAME']} at {options['HOST']}:{options['PORT'] or 5432}"
