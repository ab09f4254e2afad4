"""A ClickHouse server through clickhouse-driver."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from funnelwatch.store import json_lines, native
from funnelwatch.store.client import (
    INSERT_SETTINGS,
    Arrays,
    ColumnTypes,
    Params,
    Pool,
    Rows,
    StoreError,
    StoreUnavailable,
    first_line,
    scalar_text,
    without_query,
)
from funnelwatch.store.native import Column


class NativeClient:
    """A ClickHouse server, or anything that speaks its native protocol."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._plain = Pool(lambda: self._open(use_numpy=False))
        self._numpy = Pool(lambda: self._open(use_numpy=True))
        self.column_types = ColumnTypes(self)

    def query(self, sql: str, params: Params | None = None) -> Rows:
        columns, header = self._select(self._plain, sql, params)
        return Rows(tuple(name for name, _ in header), tuple(columns))

    def arrays(self, sql: str, params: Params | None = None) -> Arrays:
        columns, header = self._select(self._numpy, sql, params)
        return {name: np.asarray(column) for (name, _), column in zip(header, columns, strict=True)}

    def command(self, sql: str, params: Params | None = None) -> None:
        self._select(self._plain, sql, params)

    def insert(self, table: str, columns: Mapping[str, Column], token: str = "") -> None:
        values = [column.tolist() if isinstance(column, np.ndarray) else list(column) for column in columns.values()]
        with self._plain.connection() as client, self._errors():
            # one block whatever its size: a second one under the same token would be taken for a repetition
            settings: dict[str, Any] = {**INSERT_SETTINGS, "insert_block_size": max(len(values[0]), 1)}
            if token:
                settings["insert_deduplication_token"] = token
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"
            client.execute(sql, values, columnar=True, settings=settings)

    def insert_lines(self, table: str, names: Sequence[str], lines: bytes, token: str = "") -> None:
        types = self.column_types[table]
        self.insert(table, dict(zip(names, json_lines.columns(lines, [types[name] for name in names]), strict=True)), token)

    def parquet(self, path: Path, sql: str, params: Params | None = None) -> None:
        from funnelwatch.store import parquet  # 0.1 s to import, and only exports need it

        values = {name: encode_native(value) for name, value in (params or {}).items()}
        with self._plain.connection() as client, self._errors():
            rows = client.execute_iter(sql, values or None, with_column_types=True, settings={"max_block_size": parquet.BLOCK_ROWS})
            parquet.write(path, next(rows), rows)

    def close(self) -> None:
        for pool in (self._plain, self._numpy):
            for client in pool.drain():
                client.disconnect()

    def _select(self, pool: Pool[Any], sql: str, params: Params | None) -> tuple[Any, Any]:
        values = {name: encode_native(value) for name, value in (params or {}).items()}
        with pool.connection() as client, self._errors():
            result = client.execute(sql, values or None, columnar=True, with_column_types=True)
        columns, header = result if isinstance(result, tuple) else ([], [])
        return columns if len(columns) else [native.empty(kind) for _, kind in header], header

    def _open(self, use_numpy: bool) -> Any:
        from clickhouse_driver import Client as DriverClient

        url = f"{self.url}{'&' if '?' in self.url else '?'}use_numpy={use_numpy}"
        client = DriverClient.from_url(url)
        client.client_settings["server_side_params"] = True
        return client

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from clickhouse_driver import errors

        try:
            yield
        except (errors.NetworkError, errors.SocketTimeoutError, EOFError, ConnectionError, TimeoutError) as error:
            parts = urlsplit(self.url)
            raise StoreUnavailable(
                f"Cannot reach ClickHouse at {parts.hostname}:{parts.port or 9000}: {first_line(error)}. "
                "Start it, or correct CLICKHOUSE_URL."
            ) from error
        except errors.Error as error:
            raise StoreError(without_query(str(error)), int(getattr(error, "code", 0) or 0)) from error


def encode_native(value: Any) -> Any:
    """clickhouse-driver escapes strings and lists itself, but cuts datetimes to whole seconds."""
    if isinstance(value, (list, tuple)):
        return [item if isinstance(item, (str, int, float)) else scalar_text(item) for item in value]
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else scalar_text(value)
