"""A person or a time range taken out of everything stored."""

from typing import Any

from funnelwatch import pipeline
from funnelwatch.web.errors import Error
from funnelwatch.web.lookup import moment, project_named
from funnelwatch.web.progress import Progress

ACTOR = "funnelwatch erase"


def run(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{project, person, from, to, dry_run}` to a receipt (see `pipeline.erase_person`). Raises Error."""
    project = project_named(options["project"])
    start, end = moment(options["from"], "--from"), moment(options["to"], "--to")
    progress.say("looking" if options["dry_run"] else "erasing; the minutes touched are rolled up again")
    try:
        if options["person"]:
            return pipeline.erase_person(project, options["person"], ACTOR, options["dry_run"])
        return pipeline.erase_range(project, start, end, ACTOR, options["dry_run"])
    except (ValueError, pipeline.StillBusy) as error:
        raise Error(str(error)) from error
