"""Readers of history files: each turns a file's rows into Segment messages, and what it cannot read into rejects.

A reader is `read(source, mapping) -> Iterator[Message | bytes | Reject]` (bytes: a message still in JSON); it validates no more than it must to build the message,
because imported messages then take the same way as those that come over HTTP. One file and one line here adds a format.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from funnelwatch.ingest.formats.source import Source

Message = dict[str, Any]

RejectReason = Literal[
    "truncated_file", "corrupt_gzip", "invalid_json", "not_an_object", "unexpected_shape", "wrong_columns", "invalid_time",
    "invalid_number", "missing_event", "missing_order_id",
]  # fmt: skip


class Reject(NamedTuple):
    """A row that could not become a message: why, and the row as it stood in the file."""

    reason: RejectReason
    raw: str


Reader = Callable[[Source, Path | None], Iterator[Message | bytes | Reject]]

FORMATS = {
    "segment": "funnelwatch.ingest.formats.segment.read",
    "ga4": "funnelwatch.ingest.formats.ga4.read",
    "shopify": "funnelwatch.ingest.formats.shopify.read",
    "rees46": "funnelwatch.ingest.formats.table.read_rees46",
    "csv": "funnelwatch.ingest.formats.table.read",
}


def reader(name: str) -> Reader:
    """The reader of format `name`. Raises KeyError for an unknown one."""
    module, _, function = FORMATS[name].rpartition(".")
    found: Reader = getattr(import_module(module), function)
    return found
