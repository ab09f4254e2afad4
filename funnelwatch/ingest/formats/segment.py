"""Segment's own messages, one a line: what the simulator writes and what warehouses of Segment and RudderStack export."""

from collections.abc import Iterator
from pathlib import Path

from funnelwatch.ingest.formats import Message, Reject
from funnelwatch.ingest.formats.jsonlines import objects
from funnelwatch.ingest.formats.source import Source


def read(source: Source, mapping: Path | None = None) -> Iterator[Message | Reject]:
    """The messages as they stand."""
    for row in objects(source):
        yield row if isinstance(row, Reject) else row[1]
