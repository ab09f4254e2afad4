"""The event under construction: `Event`'s fields, mutable, written to the spool as one JSON array a line.

Generated from `Event`, so the field list has one home. An array line is a third of the bytes of an object, and amounts stay
text until someone needs a Decimal.
"""

from typing import Any

import msgspec

from funnelwatch.core.events import Event

FIELDS: tuple[str, ...] = Event.__struct_fields__

Draft: Any = msgspec.defstruct(
    "Draft",
    [
        (field.name, Any, None if field.default is msgspec.NODEFAULT else field.default)
        for field in msgspec.structs.fields(Event)
    ],
    array_like=True,
    gc=False,
)


class SpooledEvent(Event, frozen=True, gc=False, kw_only=True, array_like=True):
    """An `Event` as it stands in the spool."""


encode_lines = msgspec.json.Encoder().encode_lines
decode_lines = msgspec.json.Decoder(SpooledEvent).decode_lines
