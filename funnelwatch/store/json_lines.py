"""Rows as JSON arrays, one a line, read on this side for a server that takes blocks only. The types are the table's columns'."""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from funnelwatch.store.client import StoreError
from funnelwatch.store.native import Column

_CANNOT_PARSE = 27


def columns(lines: bytes, types: Sequence[str]) -> list[Column]:
    """The columns of the lines. Raises StoreError with the code the engine has for it where a line does not fit."""
    try:
        rows = _decoder(tuple(types)).decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(str(error), _CANNOT_PARSE) from None
    return list(zip(*rows, strict=True))


@lru_cache
def _decoder(types: tuple[str, ...]) -> Any:
    return msgspec.json.Decoder(tuple.__class_getitem__(tuple(_python(kind) for kind in types)))


def _python(kind: str) -> Any:
    """The Python type of a column's values; times are whole numbers of the column's own unit."""
    outer, _, inner = kind.removesuffix(")").partition("(")
    if outer == "Nullable":
        return _python(inner) | None
    if outer == "LowCardinality":
        return _python(inner)
    if outer == "Array":
        return tuple.__class_getitem__((_python(inner), ...))
    if outer.startswith(("Int", "UInt", "DateTime64")):
        return int
    return {"String": str, "Bool": bool, "Decimal": Decimal, "Float64": float}[outer]
