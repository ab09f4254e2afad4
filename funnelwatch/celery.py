"""Celery's application and schedule, and its worker and beat as threads of one process for embedded mode."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import redis
from celery import Celery, Task
from celery.beat import EmbeddedService, Scheduler
from celery.schedules import BaseSchedule, crontab, schedstate
from celery.signals import task_revoked
from django.conf import settings

from funnelwatch import config

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "funnelwatch.settings")
logger = logging.getLogger(__name__)

#: Ticks of several projects run beside a long fit; NumPy and the engine give the interpreter lock back.
EMBEDDED_THREADS = 4


class Aligned(BaseSchedule):
    """Due when the clock passes a multiple of `seconds`, whatever happened before. Missed times are skipped, and said so."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether a multiple has passed since `last_run_at`, and the seconds until the next."""
        now = self.now().timestamp()
        passed = int(now // self.seconds) - int(last_run_at.timestamp() // self.seconds)
        if passed > 1:
            logger.warning("%d runs of a job due every %d s were skipped: this machine did not keep up", passed - 1, self.seconds)
        return schedstate(passed > 0, self.seconds - now % self.seconds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aligned) and other.seconds == self.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)


class Alone(Task):
    """A task that runs once at a time for the same arguments; a run that comes meanwhile is skipped, and said so."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run, if nobody does."""
        claim = _claim(f"{self.name}{args}")
        if not claim.acquire(blocking=False):
            logger.warning("%s%s is still running and is skipped this time", self.name, args)
            return None
        try:
            return super().__call__(*args, **kwargs)
        finally:
            with suppress(redis.exceptions.LockNotOwnedError):  # ran longer than CLAIM_SECONDS: the claim is gone already
                claim.release()


#: How long a killed worker's claim holds others back.
CLAIM_SECONDS = 60

_claims: dict[str, threading.Lock] = {}


def _claim(name: str) -> Any:
    """A lock among all workers: in one process a thread lock, else one in Redis that outlives its owner by CLAIM_SECONDS."""
    if settings.EMBEDDED:
        return _claims.setdefault(name, threading.Lock())
    return redis.Redis.from_url(settings.CELERY_BROKER_URL).lock(f"funnelwatch:{name}", timeout=CLAIM_SECONDS)


def _scheduled(task: str, schedule: BaseSchedule, expires: int) -> dict:
    """An entry that is thrown away when no worker took it within `expires` seconds, so that nothing piles up."""
    return {"task": f"funnelwatch.tasks.{task}", "schedule": schedule, "options": {"expires": expires}}


_tick = config.get_int("tick_seconds")

app = Celery("funnelwatch")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_connection_retry_on_startup=True,
    # The in-memory broker is polled; a second's wait would be a tenth of a tick.
    broker_transport_options={"polling_interval": 0.1} if settings.EMBEDDED else {},
    include=["funnelwatch.tasks"],
    task_ignore_result=True,
    # A killed worker repeats its task instead of forgetting it; every task may be repeated.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    timezone="UTC",
    # In memory: cron entries need no memory of the last run, and a stale file would fire everything at once.
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=_tick,
    beat_schedule={
        "tick": _scheduled("tick_all", Aligned(_tick), expires=_tick),
        "deliver": _scheduled("deliver", Aligned(5), expires=5),
        "learn": _scheduled("learn_all", crontab(minute="17"), expires=1800),
    },
)


@task_revoked.connect
def _report_expired(request=None, expired: bool = False, **_: object) -> None:
    if expired:
        logger.warning("%s was not started in time and is skipped: the workers are behind", getattr(request, "name", None) or getattr(request, "task", "a task"))


@contextmanager
def embedded_jobs() -> Iterator[None]:
    """Worker and beat as threads of this process for the block. Its end waits for tasks that are running."""
    worker = app.WorkController(
        pool="threads", concurrency=EMBEDDED_THREADS, without_gossip=True, without_mingle=True, without_heartbeat=True
    )
    beat = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    thread = threading.Thread(target=worker.start, name="worker", daemon=True)
    thread.start()
    beat.start()
    try:
        yield
    finally:
        beat.stop()
        worker.stop()
        thread.join()
