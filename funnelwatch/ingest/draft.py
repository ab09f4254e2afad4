"""The event under construction: mutable, and written to the spool as one JSON array a line.

Its fields are the columns of the `events` table: those of `Event`, with the cart lines as four parallel lists. Generated from
`Event`, so the field list has one home. The engine reads the lines itself; here only their first values are.
"""

from decimal import Decimal
from typing import Any

import msgspec

from funnelwatch.core.events import Event, Item
from funnelwatch.store.queries.events import LINE_FIELDS, Line

ITEM_FIELDS: dict[str, Any] = {
    "item_sku": tuple[str, ...], "item_category": tuple[str, ...], "item_quantity": tuple[int, ...],
    "item_price": tuple[Decimal | None, ...],
}  # fmt: skip
_PLAIN = [field for field in msgspec.structs.fields(Event) if field.name != "items"]
FIELDS = LINE_FIELDS

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

# The first values of a line; msgspec passes over the others.
_heads: Any = msgspec.json.Decoder(
    msgspec.defstruct(
        "Head", [(field.name, field.type) for field in _PLAIN[: 1 + [field.name for field in _PLAIN].index("ts")]], array_like=True, gc=False
    )
)
# One typed tuple a line: a damaged line fails here with its reason, amounts become decimals on the way.
_decoder: Any = msgspec.json.Decoder(tuple.__class_getitem__((*(field.type for field in _PLAIN), *ITEM_FIELDS.values())))

encode_lines = msgspec.json.Encoder().encode_lines


def decode_lines(lines: bytes) -> list[Row]:
    """The rows of spooled lines, in the order of FIELDS. Raises msgspec.DecodeError or UnicodeDecodeError for a damaged line."""
    return _decoder.decode_lines(lines)


def read_lines(text: bytes) -> list[Line]:
    """Spooled lines with as much of each as the drain has to know. Raises as `decode_lines`; wrong values further on go unseen."""
    heads = _heads.decode_lines(text)
    return [
        Line(line + b"\n", head.project_id, head.message_id, head.ts)
        for line, head in zip(filter(None, text.split(b"\n")), heads, strict=True)
    ]


def to_event(row: Row) -> Event:
    """The event of one row."""
    values = dict(zip(FIELDS, row, strict=True))
    lines = zip(*(values.pop(name) for name in ITEM_FIELDS), strict=True)
    return Event(**values, items=tuple(Item(*line) for line in lines))
