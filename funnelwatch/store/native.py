"""ClickHouse's Native block format in memory, read and written with clickhouse-driver's own column code.

chDB speaks it as a file format, so both engines hand out the very same Python values and take the very same columns.
"""

from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
from clickhouse_driver import defines
from clickhouse_driver.bufferedreader import BufferedReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.context import Context
from clickhouse_driver.streams.native import BlockInputStream
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

Column = Sequence[Any] | np.ndarray[Any, Any]

_NUMPY = {
    "Int8": "i1", "Int16": "<i2", "Int32": "<i4", "Int64": "<i8", "UInt8": "u1", "UInt16": "<u2", "UInt32": "<u4",
    "UInt64": "<u8", "Float32": "<f4", "Float64": "<f8", "Bool": "u1",
}  # fmt: skip
_NO_BLOCK_INFO = 0  # the file format is the protocol's as of revision 0
_WRITE_BUFFER = 1 << 20


def context(use_numpy: bool) -> Context:
    context = Context()
    context.client_settings = {
        "strings_encoding": defines.STRINGS_ENCODING, "strings_as_bytes": False, "use_numpy": use_numpy,
        "input_format_null_as_default": False, "namedtuple_as_json": False, "server_side_params": True,
    }  # fmt: skip
    context.server_info = SimpleNamespace(used_revision=_NO_BLOCK_INFO, get_timezone=lambda: "UTC")
    context.settings = {}
    return context


class _Reader(BufferedReader):  # type: ignore[misc]
    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self.buffer = bytearray(data)
        self.current_buffer_size = len(data)

    def read_into_buffer(self) -> None:
        raise EOFError("truncated Native block")


def decode(data: bytes, use_numpy: bool = False) -> tuple[list[tuple[str, str]], list[Column]]:
    """(name, type) pairs and columns of one or more concatenated blocks; NumPy arrays when asked for."""
    header: list[tuple[str, str]] = []
    parts: list[list[Column]] = []
    reader = _Reader(data)
    stream = BlockInputStream(reader, context(use_numpy))
    while reader.position < reader.current_buffer_size:
        block = stream.read(use_numpy=use_numpy)
        header = block.columns_with_types
        if block.num_rows:
            parts.append(block.data)
    if not parts:
        return header, [[] for _ in header]
    if len(parts) == 1:
        return header, list(parts[0])
    if use_numpy:
        return header, [np.concatenate(chunks) for chunks in zip(*parts, strict=True)]
    return header, [[value for chunk in chunks for value in chunk] for chunks in zip(*parts, strict=True)]


def empty(kind: str) -> Column:
    """A column of no rows that keeps its type: an untyped one would turn 64-bit integers it is joined with into floats."""
    return np.zeros(0, dtype=_NUMPY.get(kind, object))


def encode(names: Sequence[str], types: Sequence[str], columns: Sequence[Column]) -> bytes:
    """One block. Times are integers in the column's own unit, decimals may be integers already scaled."""
    out = BytesIO()
    writer = BufferedSocketWriter(SimpleNamespace(sendall=out.write), _WRITE_BUFFER)
    settings = context(use_numpy=False)
    write_varint(len(names), writer)
    write_varint(len(columns[0]), writer)
    for name, kind, values in zip(names, types, columns, strict=True):
        write_binary_str(name, writer)
        write_binary_str(_wire_type(kind), writer)
        _write(kind, values, writer, settings)
    writer.flush()
    return out.getvalue()


def _wire_type(kind: str) -> str:
    """The engine casts on insert: plain strings cost a tenth of building a dictionary here."""
    return kind.replace("LowCardinality(String)", "String")


def _write(kind: str, values: Column, writer: BufferedSocketWriter, settings: Context) -> None:
    kind = _wire_type(kind)
    if kind.startswith("DateTime64"):
        writer.write(np.asarray(values, dtype="<i8").tobytes())
    elif kind in _NUMPY:
        writer.write(np.asarray(values, dtype=_NUMPY[kind]).tobytes())
    elif kind.startswith("Nullable(") and kind != "Nullable(String)":
        writer.write(np.fromiter((value is None for value in values), "u1", len(values)).tobytes())
        _write(kind[9:-1], [0 if value is None else value for value in values], writer, settings)
    elif kind.startswith("Decimal("):
        writer.write(_scaled(values, int(kind[:-1].split(",")[1])).tobytes())
    elif kind.startswith("Array("):
        lengths = np.fromiter((len(value) for value in values), "<u8", len(values))
        writer.write(np.cumsum(lengths, dtype="<u8").tobytes())
        _write(kind[6:-1], [item for value in values for item in value], writer, settings)
    else:
        write_column(settings, "", kind, list(values), writer)


def _scaled(values: Column, scale: int) -> np.ndarray[Any, Any]:
    """Decimals as integers of `scale` digits. Only for Decimal(P <= 18, S), which is eight bytes wide."""
    factor = Decimal(10) ** scale
    return np.fromiter((int(value * factor) for value in values), "<i8", len(values))
