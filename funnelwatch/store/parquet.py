"""Rows that came over the native protocol into a Parquet file, with the types chDB's own writer gives."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: Rows a row group, and in memory at once.
BLOCK_ROWS = 50_000

_SIMPLE = {
    "String": pa.string(), "Bool": pa.bool_(), "Float64": pa.float64(), "Float32": pa.float32(), "DateTime64(3, 'UTC')": pa.timestamp("ms", "UTC"),
    **{f"{sign}Int{bits}": getattr(pa, f"{sign.lower()}int{bits}")() for sign in ("", "U") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def write(path: Path, header: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
    """`header` are (name, ClickHouse type). Raises ValueError for a type that has no place here."""
    schema = pa.schema([field(name, kind) for name, kind in header])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in _blocks(rows):
            columns = [pa.array(values, each.type) for values, each in zip(zip(*block, strict=True), schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def field(name: str, kind: str) -> pa.Field:
    """An Arrow field from a ClickHouse type."""
    if inner := _inside(kind, "LowCardinality"):
        return field(name, inner)
    if inner := _inside(kind, "Nullable"):
        return field(name, inner).with_nullable(True)
    if inner := _inside(kind, "Array"):
        return pa.field(name, pa.list_(field("element", inner)), nullable=False)
    if numbers := _inside(kind, "Decimal"):
        precision, scale = map(int, numbers.split(","))
        return pa.field(name, pa.decimal128(precision, scale), nullable=False)
    if kind not in _SIMPLE:
        raise ValueError(f"column {name} is a {kind}, which has no Parquet type here")
    return pa.field(name, _SIMPLE[kind], nullable=False)


def _inside(kind: str, outer: str) -> str:
    return kind[len(outer) + 1 : -1] if kind.startswith(f"{outer}(") else ""


def _blocks(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    source = iter(rows)
    while block := list(islice(source, BLOCK_ROWS)):
        yield block
