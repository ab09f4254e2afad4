"""The event under construction: mutable, and written to the spool as one JSON array a line.

Its fields are the columns of the `events` table: those of `Event`, with the cart lines as four parallel lists. Generated from
`Event`, so the field list has one home. Lines turn into columns without an object an event in between.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from funnelwatch.core.events import Event, Item

ITEM_FIELDS: dict[str, Any] = {
    "item_sku": tuple[str, ...], "item_category": tuple[str, ...], "item_quantity": tuple[int, ...],
    "item_price": tuple[Decimal | None, ...],
}  # fmt: skip
_PLAIN = [field for field in msgspec.structs.fields(Event) if field.name != "items"]
FIELDS: tuple[str, ...] = (*(field.name for field in _PLAIN), *ITEM_FIELDS)

Draft: Any = msgspec.defstruct(
    "Draft",
    [
        *((field.name, Any, None if field.default is msgspec.NODEFAULT else field.default) for field in _PLAIN),
        *((name, Any, ()) for name in ITEM_FIELDS),
    ],
    array_like=True,
    gc=False,
)

Row = tuple[Any, ...]
Columns = dict[str, list[Any]]

# One typed tuple a line: a damaged line fails here with its reason, amounts become decimals on the way.
_decoder: Any = msgspec.json.Decoder(tuple.__class_getitem__((*(field.type for field in _PLAIN), *ITEM_FIELDS.values())))

encode_lines = msgspec.json.Encoder().encode_lines


def decode_lines(lines: bytes) -> list[Row]:
    """The rows of spooled lines, in the order of FIELDS. Raises msgspec.DecodeError or UnicodeDecodeError for a damaged line."""
    return _decoder.decode_lines(lines)


def decode_line(line: bytes) -> Row:
    """One row. Raises as `decode_lines`."""
    return _decoder.decode(line)


def empty_columns() -> Columns:
    """Columns of the `events` table, without a row."""
    return {name: [] for name in FIELDS}


def extend(columns: Columns, rows: Iterable[Row]) -> None:
    """Add rows to columns. Called with a few hundred at a time: rows then go while they are still in the processor's cache, and
    before the garbage collector takes them for long-lived."""
    for column, values in zip(columns.values(), zip(*rows, strict=True), strict=False):
        column.extend(values)


def to_event(row: Row) -> Event:
    """The event of one row."""
    values = dict(zip(FIELDS, row, strict=True))
    lines = zip(*(values.pop(name) for name in ITEM_FIELDS), strict=True)
    return Event(**values, items=tuple(Item(*line) for line in lines))
