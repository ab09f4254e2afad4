"""Refused requests in their project's live view: nothing else shows a developer a forbidden origin or a body that cannot be read."""

import asyncio
from contextlib import suppress

from funnelwatch.ingest.draft import encode_lines
from funnelwatch.ingest.errors import Refusal
from funnelwatch.ingest.sample import Sampler, refusal_row
from funnelwatch.ingest.spool import Entry, Spool, SpoolFull


def show(spool: Spool, sampler: Sampler, project_id: int, now_ms: int, path: str, refusal: Refusal) -> None:
    """Have the refusal shown if the project's sample has room for it. From the event loop; the answer does not wait for it."""
    if not sampler.grant_refusal(project_id, now_ms):
        return
    entry = Entry(events=b"", count=0, recent=encode_lines([refusal_row(project_id, now_ms, path, refusal)]))
    with suppress(SpoolFull):
        spool.enqueue(entry).add_done_callback(_settled)


def _settled(written: "asyncio.Future[None]") -> None:
    """A spool without room loses the row, and that is no fault."""
    if not written.cancelled():
        written.exception()
