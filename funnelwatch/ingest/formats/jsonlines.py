"""Rows of a JSONL file."""

from collections.abc import Iterator

import msgspec

from funnelwatch.ingest.formats import Message, Reject
from funnelwatch.ingest.formats.source import Source

_decode = msgspec.json.Decoder().decode


def objects(source: Source) -> Iterator[tuple[bytes, Message] | Reject]:
    """Each line with its object, or a `Reject`; a file that ends in the middle ends with one."""
    for line in source.lines():
        try:
            row = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield Reject("invalid_json", line.decode(errors="replace"))
            continue
        if isinstance(row, dict):
            yield line, row
        else:
            yield Reject("not_an_object", line.decode(errors="replace"))
    yield from damage(source)


def damage(source: Source) -> Iterator[Reject]:
    """The reject that says where a damaged file stopped; nothing for a whole one."""
    if source.damage == "truncated_file":
        yield Reject("truncated_file", source.tail.decode(errors="replace"))
    elif source.damage:
        yield Reject("corrupt_gzip", source.tail.decode(errors="replace"))
