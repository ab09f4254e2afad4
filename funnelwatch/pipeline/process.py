"""What one process keeps open: the event store, the spool, the drain, ingest's picture of keys and settings."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from django.db import OperationalError, connection, transaction

from funnelwatch import config
from funnelwatch.ingest.api import IngestApp
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.snapshot import EMPTY, KeyInfo, Snapshot
from funnelwatch.ingest.spool import Entry, Spool, SpoolFull
from funnelwatch.projects.models import Project, WriteKey
from funnelwatch.store import client as store
from funnelwatch.store.migrate import migrate

_lock = threading.Lock()

#: PostgreSQL's name for the right to change the event store's schema: a number nothing else here locks.
MIGRATING = 1_179_014_989
#: A process that takes events does not wait for a long migration: they can lie in the spool.
PATIENCE = "10s"


@dataclass
class Runtime:
    """`client` is open from `start` to `stop`; `ingest`, `spool` and `drain` exist in processes that answer requests."""

    client: store.Client
    drain: Drain | None = None


_runtime: Runtime | None = None
_app: IngestApp | None = None
_spool: Spool | None = None


def start() -> Runtime:
    """Open the event store and bring it up to date; begin draining where this process takes events. Idempotent.

    Raises StoreUnavailable with what to do when the store cannot be reached, is locked, is newer than this version or is still being
    brought up to date by another process.
    """
    global _runtime
    with _lock:
        if _runtime is None:
            client = store.connect(settings.CLICKHOUSE_URL.removeprefix("chdb://"))
            with _alone():
                migrate(client)
            _runtime = Runtime(client)
        if _app is not None and _runtime.drain is None:
            _runtime.drain = Drain(_spool_directory(), _runtime.client, _app.crowded)
            _runtime.drain.tiers = tiers()
            _runtime.drain.start()
        return _runtime


@contextmanager
def _alone() -> Iterator[None]:
    """No other process of the installation is in here meanwhile. Raises StoreUnavailable after PATIENCE.

    Migrations copy tables and swap them: a second process would swap in its half of a copy and drop the whole. An embedded store is open
    in one process anyway, and a database other than PostgreSQL is a trial on one machine.
    """
    if settings.EMBEDDED or connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:  # the lock goes with the transaction, however it ends
        try:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATING])
        except OperationalError as error:
            raise store.StoreUnavailable(f"Another process brings the event store up to date; try again when it has. ({error})") from error
        yield


def runtime() -> Runtime:
    """This process's runtime, opened if need be. Raises StoreUnavailable."""
    return _runtime or start()


def stop() -> None:
    """Take no more events, finish the block under way, close the store. What is spooled stays on the disk. Idempotent."""
    global _runtime, _app, _spool
    with _lock:
        if _spool is not None:
            _spool.close()
        if _runtime is not None:
            if _runtime.drain is not None:
                _runtime.drain.stop()
            _runtime.client.close()
        _runtime = _app = _spool = None


def ingest_app() -> IngestApp:
    """The ASGI application for events. It refuses every key until `refresh_snapshot` has run."""
    global _app, _spool
    with _lock:
        if _app is None:
            _spool = Spool(_spool_directory(), config.get_int("spool_max_mb") * 1024 * 1024)
            _app = IngestApp(EMPTY, Readers(config.get_int("readers"), _spool), trusted_proxies=settings.TRUSTED_PROXIES)
        return _app


def tiers() -> dict[int, int]:
    """Project -> days its data is kept."""
    return dict(Project.objects.values_list("pk", "retention_days"))


def refresh_snapshot() -> None:
    """Give ingest and drain the keys and settings as they are now."""
    if _runtime is not None and _runtime.drain is not None:
        _runtime.drain.tiers = tiers()
    if _app is not None:
        keys = WriteKey.objects.filter(revoked_at=None).select_related("project")
        _app.snapshot = Snapshot(keys={key.key: key_info(key.project, key.allowed_origins) for key in keys})


def key_info(project: Project, allowed_origins: list[str] | None = None) -> KeyInfo:
    """A project's choices as ingest needs them."""
    return KeyInfo(
        project_id=project.pk,
        salt=project.salt,
        allowed_origins=tuple(allowed_origins or ()),
        honour_dnt=project.honour_dnt,
        honour_gpc=project.honour_gpc,
        require_consent=project.require_consent,
        property_deny_list=frozenset(name.lower() for name in project.property_deny_list),
        excluded_addresses=tuple(project.excluded_addresses),
        retention_days=project.retention_days,
    )


def metrics_text() -> str:
    """Prometheus text of ingest; empty in a process that takes no events."""
    return _app.metrics_text() if _app is not None else ""


def ingest_status() -> dict[str, Any]:
    """How spool and drain stand: `{"draining", "last_error", ...}`; empty in a process that takes no events."""
    drain = _runtime.drain if _runtime is not None else None
    if drain is None:
        return {}
    status = drain.stats()
    return {"draining": drain.active, "last_error": drain.last_error, **msgspec.structs.asdict(status)}


def spool_trouble() -> str:
    """Why this process can make no event durable just now; empty when it can. Found out by writing an entry, an empty one."""
    try:
        if _spool is not None:
            _spool.put(Entry(events=b"", count=0))
    except SpoolFull as full:
        return full.message
    return ""


def spool() -> Spool | None:
    """The spool of this process, if it takes events."""
    return _spool


def _spool_directory() -> Any:
    return settings.DATA_DIR / "spool"
