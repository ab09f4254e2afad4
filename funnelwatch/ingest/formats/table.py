"""Tables (CSV, TSV) read through a mapping file; consecutive rows that are alike in `group_by` are one event with items."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from funnelwatch.ingest.formats import Message, Reject
from funnelwatch.ingest.formats.countries import iso_code
from funnelwatch.ingest.formats.identity import message_id
from funnelwatch.ingest.formats.jsonlines import damage
from funnelwatch.ingest.formats.mapping import MappingError, Row, TableMapping, load
from funnelwatch.ingest.formats.source import Source

_TIMES = ("timestamp", "receivedAt", "sentAt")
_NUMBERS = ("value", "price", "quantity", "revenue", "total", "duration_ms")
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}


def read(source: Source, mapping: Path | None) -> Iterator[Message | Reject]:
    """Messages of a table. Raises MappingError when there is no mapping or it does not fit the table."""
    if mapping is None:
        raise MappingError("a csv file needs --map MAPPING.toml, which says what its columns mean")
    plan = load(mapping, beside=source.path.parent)
    table = csv.reader((line.decode(errors="replace") for line in source.lines()), delimiter=plan.delimiter)
    header = [name.lstrip("\ufeff").strip() for name in next(table, [])]
    if missing := sorted(plan.columns - set(header)):
        raise MappingError(f"{source.path.name} has no column {missing[0]!r}; it has {', '.join(header)}")
    for cells in _events(_rows(table), plan, header):
        yield cells if isinstance(cells, Reject) else _message(cells, plan, header)
    yield from damage(source)


def read_rees46(source: Source, mapping: Path | None) -> Iterator[Message | Reject]:
    """The REES46 shop data sets, through the mapping that comes with the package."""
    return read(source, mapping or Path(__file__).with_name("rees46.toml"))


def _rows(table: Iterator[list[str]]) -> Iterator[list[str]]:
    """The table's rows; one that the csv module refuses (a cell of over 128 KB after a stray quote) comes as an empty one."""
    while True:
        try:
            yield next(table)
        except StopIteration:
            return
        except csv.Error:
            yield []


def _events(table: Iterator[list[str]], plan: TableMapping, header: list[str]) -> Iterator[list[list[str]] | Reject]:
    """The rows of each event. A row of the wrong width is a reject and ends nothing."""
    width = len(header)
    places = [header.index(column) for column in plan.group_by]

    def key(numbered: tuple[int, list[str]]) -> Any:
        number, cells = numbered
        if len(cells) != width or not places:
            return number
        return tuple(cells[place] for place in places)

    for _, group in groupby(enumerate(table), key):
        rows = [cells for _, cells in group]
        if len(rows[0]) != width:
            yield Reject("wrong_columns", plan.delimiter.join(rows[0]))
        else:
            yield rows


def _message(rows: list[list[str]], plan: TableMapping, header: list[str]) -> Message | Reject:
    records = [_looked_up(dict(zip(header, cells, strict=True)), plan) for cells in rows]
    try:
        message: Message = {"type": "track", "messageId": message_id(cell.encode() for cells in rows for cell in cells)}
        for path, constant in plan.constants.items():
            _put(message, path, constant)
        _fill(message, plan.fields, records[0], plan)
        if not message.get("event"):
            return Reject("missing_event", _raw(rows, plan))
        _fill(message, plan.fields_of.get(message["event"], {}), records[0], plan)
        if plan.items:
            _add_items(message, records, plan)
    except _Unreadable as unreadable:
        return Reject(unreadable.args[0], _raw(rows, plan))
    return message


def _looked_up(record: dict[str, str], plan: TableMapping) -> Row:
    for lookup in plan.lookups.values():
        record.update(lookup.rows.get(record[lookup.by], {}))
    return record


def _fill(message: Message, fields: Any, record: Row, plan: TableMapping) -> None:
    for path, filler in fields.items():
        text = filler(record).strip()
        text = plan.values.get(path, {}).get(text, text)
        if text:
            _put(message, path, _value(path, text, plan))


def _add_items(message: Message, records: list[Row], plan: TableMapping) -> None:
    items = []
    for record in records:
        item: Message = {}
        for name, filler in plan.items.items():
            if text := filler(record).strip():
                item[name] = _value(name, text, plan)
        items.append(item)
    _put(message, "properties.items", items)
    if plan.items_total and any("price" in item for item in items):
        _put(message, plan.items_total, round(sum(item.get("price", 0) * item.get("quantity", 1) for item in items), 2))


class _Unreadable(ValueError):
    """A cell that is no time or no number; the argument is the reject's reason."""


def _value(path: str, text: str, plan: TableMapping) -> Any:
    name = path.rpartition(".")[2]
    if path in _TIMES:
        return _time(text, plan)
    if name in _NUMBERS:
        try:
            return int(text) if text.isdecimal() else float(text)
        except ValueError:
            raise _Unreadable("invalid_number") from None
    if path == "context.location.country":
        return iso_code(text)
    return text


def _time(text: str, plan: TableMapping) -> str:
    """ISO 8601 UTC of a time as tables write it; without an offset it is in the mapping's zone."""
    try:
        if text.isdecimal():
            moment = datetime.fromtimestamp(int(text) / _PER_SECOND[plan.time_unit], UTC)
        else:
            moment = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
    except (ValueError, OverflowError, OSError):
        raise _Unreadable("invalid_time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=plan.zone)).astimezone(UTC).isoformat()


def _put(message: Message, path: str, value: Any) -> None:
    *branches, leaf = path.split(".")
    for branch in branches:
        message = message.setdefault(branch, {})
    message[leaf] = value


def _raw(rows: list[list[str]], plan: TableMapping) -> str:
    return "\n".join(plan.delimiter.join(cells) for cells in rows)
