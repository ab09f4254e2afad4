"""A mapping file: how the columns of a table become a Segment message. The README shows one with every key."""

import csv
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any, Literal
from zoneinfo import ZoneInfo

from funnelwatch.ingest.formats.source import Source

Row = Mapping[str, str]
TimeUnit = Literal["s", "ms", "us"]

_KEYS = {
    "delimiter", "timezone", "time_unit", "group_by", "fields", "fields_of", "constants", "values", "items", "lookups",
}  # fmt: skip


class MappingError(ValueError):
    """The mapping file does not fit; the text says what to change."""


@dataclass(frozen=True)
class Lookup:
    """Rows of a second table by the values of one of its columns; `by` is the column of the first table to look up."""

    by: str
    rows: Mapping[str, Row]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class TableMapping:
    """`fields` maps a path in the message to what fills it from a row; `items` the same within one item of the event."""

    fields: Mapping[str, Callable[[Row], str]]
    fields_of: Mapping[str, Mapping[str, Callable[[Row], str]]]
    items: Mapping[str, Callable[[Row], str]]
    columns: frozenset[str]
    items_total: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    delimiter: str = ","
    zone: ZoneInfo = ZoneInfo("UTC")
    time_unit: TimeUnit = "s"


def load(path: Path, beside: Path) -> TableMapping:
    """The mapping of file `path`; lookup files are sought in `beside`, the folder of the imported file. Raises MappingError."""
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise MappingError(f"cannot read the mapping file {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{path} is not valid TOML: {error}") from None
    if unknown := sorted(set(raw) - _KEYS):
        raise MappingError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    for path_needed in ("event", "timestamp"):
        if path_needed not in raw.get("fields", {}) and path_needed not in raw.get("constants", {}):
            raise MappingError(f"{path}: nothing fills {path_needed!r}; name its column under [fields]")
    return _compile(raw, path, beside)


def _compile(raw: dict[str, Any], path: Path, beside: Path) -> TableMapping:
    items = dict(raw.get("items", {}))
    total = items.pop("total", "")
    fields_of = raw.get("fields_of", {})
    texts = [*raw.get("fields", {}).values(), *items.values(), *(v for fields in fields_of.values() for v in fields.values())]
    lookups = {name: _lookup(name, entry, path, beside) for name, entry in raw.get("lookups", {}).items()}
    used = {name for text in texts for name in _names(text)}
    for name in used:
        table, dot, column = name.partition(".")
        if dot and table in lookups and column not in lookups[table].columns:
            raise MappingError(f"{path}: {name!r} is used, but the lookup has only {', '.join(lookups[table].columns)}")
    own = {name for name in used if name.partition(".")[0] not in lookups or "." not in name}
    return TableMapping(
        fields={target: _filler(text) for target, text in raw.get("fields", {}).items()},
        fields_of={event: {target: _filler(text) for target, text in part.items()} for event, part in fields_of.items()},
        items={target: _filler(text) for target, text in items.items()},
        columns=frozenset(own | set(raw.get("group_by", ())) | {lookup.by for lookup in lookups.values()}),
        items_total=total,
        constants=raw.get("constants", {}),
        values=raw.get("values", {}),
        lookups=lookups,
        group_by=tuple(raw.get("group_by", ())),
        delimiter=raw.get("delimiter", ","),
        zone=_zone(raw.get("timezone", "UTC"), path),
        time_unit=raw.get("time_unit", "s"),
    )


def _names(text: str) -> list[str]:
    """The columns that a filler uses: the text itself, or what stands in its braces."""
    if "{" not in text:
        return [text]
    return [name for _, name, _, _ in Formatter().parse(text) if name]


def _filler(text: str) -> Callable[[Row], str]:
    """`"column"` gives the column; `"{a}-{b}"` fills a text in."""
    if "{" not in text:
        return lambda row: row.get(text, "")
    parts = [(literal, name) for literal, name, _, _ in Formatter().parse(text)]
    return lambda row: "".join(literal + (row.get(name, "") if name else "") for literal, name in parts)


def _zone(name: str, path: Path) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise MappingError(f"{path}: {name!r} is no IANA time zone; write it like Europe/Berlin") from None


def _lookup(name: str, entry: Mapping[str, str], path: Path, beside: Path) -> Lookup:
    if missing := [key for key in ("file", "key", "by") if key not in entry]:
        raise MappingError(f"{path}: [lookups.{name}] needs {missing[0]!r}")
    file = beside / entry["file"]
    if not file.is_file():
        raise MappingError(f"{path}: the lookup file {file} does not exist")
    rows = list(csv.DictReader(line.decode("utf-8-sig", errors="replace") for line in Source(file).lines()))
    columns = tuple(rows[0]) if rows else ()
    if entry["key"] not in columns:
        raise MappingError(f"{path}: {file.name} has no column {entry['key']!r}; it has {', '.join(columns)}")
    # Keyed as the filler asks, so that a looked-up row merges into the row as it stands.
    table = {row[entry["key"]]: {f"{name}.{column}": row[column] or "" for column in columns} for row in rows}
    return Lookup(by=entry["by"], rows=table, columns=columns)
