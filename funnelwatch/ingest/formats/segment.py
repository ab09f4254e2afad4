"""Segment's own messages, one a line: what the simulator writes and what warehouses of Segment and RudderStack export."""

from collections.abc import Iterator
from pathlib import Path

from funnelwatch.ingest.formats import Reject
from funnelwatch.ingest.formats.jsonlines import damage
from funnelwatch.ingest.formats.source import Source


def read(source: Source, mapping: Path | None = None) -> Iterator[bytes | Reject]:
    """The lines as they stand: whoever validates them decodes them, and once is enough."""
    yield from source.lines()
    yield from damage(source)
