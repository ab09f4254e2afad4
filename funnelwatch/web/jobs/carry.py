"""Where a command's job is done: by the `up` that owns the data directory, else in the command's own process."""

from typing import Any

from django.conf import settings

from funnelwatch import pipeline
from funnelwatch.store.client import StoreError
from funnelwatch.web import jobs
from funnelwatch.web.embedded import calls, lock
from funnelwatch.web.errors import Error
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress


def carry_out(job: str, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """A job on the store: by the `up` that owns the data directory, else here. Raises Error."""
    if not settings.EMBEDDED:
        return _here(job, options, progress)
    try:
        with lock.hold(settings.DATA_DIR, job):
            return _here(job, options, progress)
    except lock.Held as held:
        if held.owner.port is None:
            raise Error(f"{settings.DATA_DIR} is {held}; wait until it has ended") from None
    return calls.call(settings.DATA_DIR, job, options, progress)


def _here(job: str, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    prepare_database()
    try:
        pipeline.start()
    except StoreError as error:
        raise Error(str(error)) from error
    try:
        return jobs.run(job, options, progress)
    finally:
        pipeline.stop()
