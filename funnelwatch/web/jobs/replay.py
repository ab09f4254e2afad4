"""The minute jobs over stored history."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.pipeline.history import NothingToReplay
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import moment, project_named
from funnelwatch.web.progress import Progress


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{project, from, to, notify, dry_run}` to CONTRACT's result of `replay`, on a dry run to `pipeline.replaced`. Raises Error."""
    project = project_named(options["project"])
    start, end = moment(options["from"], "--from"), moment(options["to"], "--to")
    try:
        if options["dry_run"]:
            return pipeline.replaced(project, start, end)
        return pipeline.replay(project, start, end, options["notify"], progress)
    except NothingToReplay as error:
        raise Error(str(error)) from error
