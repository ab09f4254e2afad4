"""Work on the store that a command asks for: done in the command's own process, or by the `up` that owns the store."""

from importlib import import_module
from typing import Any, Protocol

from funnelwatch.store.client import StoreUnavailable
from funnelwatch.web.errors import Error
from funnelwatch.web.progress import Progress


class Job(Protocol):
    """Options and result are JSON, because they may cross a socket. Raises Error for what the user can mend."""

    def __call__(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]: ...


JOBS = {
    "engine": "funnelwatch.web.jobs.engine.run",
    "erase": "funnelwatch.web.jobs.erase.run",
    "export": "funnelwatch.web.jobs.export.run",
    "import": "funnelwatch.web.jobs.import_file.run",
    "replay": "funnelwatch.web.jobs.replay.run",
    "watch": "funnelwatch.web.jobs.watch.run",
}


def run(job: str, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do a job in this process, whose store is open. Raises Error for what the user can mend."""
    module, _, function = JOBS[job].rpartition(".")
    do: Job = getattr(import_module(module), function)
    try:
        return do(options, progress)
    except StoreUnavailable as error:
        raise Error(str(error)) from error
