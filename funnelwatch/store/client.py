"""One protocol, two engines: chDB in this process, or a ClickHouse server through clickhouse-driver.

The SQL is the same text on both, `{name:Type}` placeholders included; only how a value is written differs, in one `encode` an
engine. Times go in and out as integers (epoch milliseconds or minutes): neither engine then has a say about zones.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import numpy as np

from funnelwatch.store import native
from funnelwatch.store.native import Column

Params = Mapping[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]
T = TypeVar("T")

_MESSAGE_CHARS = 1_000
_CODE = re.compile(r"Code: (\d+)\.")


class StoreError(Exception):
    """The engine refused a statement. `code` is ClickHouse's error code (0 when it gave none)."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """The event store cannot be reached or opened; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: column names and columns of equal length, as plain Python values."""

    names: tuple[str, ...]
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.columns, strict=True)

    def dicts(self) -> list[dict[str, Any]]:
        """One dictionary a row."""
        return [dict(zip(self.names, row, strict=True)) for row in self]

    def scalar(self) -> Any:
        """The first value of the first row. Raises IndexError when there is none."""
        return self.columns[0][0]


class Client(Protocol):
    """What the rest of `store` asks of an engine. Safe to share between threads."""

    def query(self, sql: str, params: Params | None = None) -> Rows:
        """Run a SELECT. Raises StoreError, StoreUnavailable."""

    def arrays(self, sql: str, params: Params | None = None) -> Arrays:
        """Run a SELECT of numbers (or short strings) into NumPy arrays: for millions of rows."""

    def command(self, sql: str, params: Params | None = None) -> None:
        """Run a statement without a result."""

    def insert(self, table: str, columns: Mapping[str, Column], token: str = "") -> None:
        """Insert equally long columns as one block. The same non-empty `token` again changes nothing."""

    def close(self) -> None:
        """Give the connections back. Idempotent."""


def connect(target: str | Path) -> Client:
    """A client for a `clickhouse://user:password@host:9000/database` URL, else for a chDB directory (created if absent)."""
    if re.match(r"clickhouses?://", str(target)):
        return NativeClient(str(target))
    return ChdbClient(target)


class _Pool(Generic[T]):
    """Connections handed out one a thread at a time. After an error a connection is still good: both engines' own code reconnects."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: SimpleQueue[T] = SimpleQueue()

    @contextmanager
    def connection(self) -> Iterator[T]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._make()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def drain(self) -> Iterator[T]:
        while True:
            try:
                yield self._idle.get_nowait()
            except Empty:
                return


class ChdbClient:
    """The engine in this process. One directory a process, one process a directory; opened on first use, never before a fork."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._pool = _Pool(self._open)
        self._types: dict[str, dict[str, str]] = {}

    def query(self, sql: str, params: Params | None = None) -> Rows:
        header, columns = self._select(sql, params, use_numpy=False)
        return Rows(tuple(name for name, _ in header), tuple(columns))

    def arrays(self, sql: str, params: Params | None = None) -> Arrays:
        header, columns = self._select(sql, params, use_numpy=True)
        return {name: np.asarray(column) for (name, _), column in zip(header, columns, strict=True)}

    def command(self, sql: str, params: Params | None = None) -> None:
        self.run(sql, _texts(params))

    def insert(self, table: str, columns: Mapping[str, Column], token: str = "") -> None:
        types = self.column_types(table)
        block = native.encode(list(columns), [types[name] for name in columns], list(columns.values()))
        self.insert_block(table, list(columns), block, token)

    def close(self) -> None:
        for connection in self._pool.drain():
            connection.close()

    def run(self, sql: str, texts: Mapping[str, str]) -> bytes:
        """The result of a statement as Native blocks; parameters are text the engine reads as it is (see `encode_chdb`)."""
        with self._pool.connection() as connection, _chdb_errors():
            return bytes(connection.query(sql, "Native", params=texts).bytes())

    def insert_block(self, table: str, names: Sequence[str], block: bytes, token: str = "") -> None:
        """Insert one Native block."""
        sql = f"INSERT INTO {table} ({', '.join(names)}){_token_setting(token)}"
        with self._pool.connection() as connection, _chdb_errors(), connection.send_insert(sql, "Native") as stream:
            stream.append(block)
            stream.finish()

    def describe(self, sql: str, texts: Mapping[str, str]) -> list[tuple[str, str]]:
        """(name, type) of a SELECT's columns: an empty result comes without its header."""
        _, (names, types, *_) = native.decode(self.run(f"DESCRIBE ({sql})", texts))
        return list(zip(names, types, strict=True))

    def column_types(self, table: str) -> dict[str, str]:
        """Type by column of a table, looked up once: a schema only changes by a migration at start."""
        if table not in self._types:
            sql = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            self._types[table] = dict(self.query(sql, {"table": table}))
        return self._types[table]

    def _select(self, sql: str, params: Params | None, use_numpy: bool) -> tuple[list[tuple[str, str]], list[Column]]:
        texts = _texts(params)
        data = self.run(sql, texts)
        if data:
            return native.decode(data, use_numpy)
        header = self.describe(sql, texts)
        return header, [native.empty(kind) for _, kind in header]

    def _open(self) -> Any:
        from chdb.state.sqlitelike import Connection  # 0.4 s to import: only processes that open the engine pay

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return Connection(str(self.path))
        except (RuntimeError, OSError) as error:
            raise StoreUnavailable(
                f"Cannot open the event store in {self.path}: {_first_line(error)}. Another process may be using it "
                "(stop it, or run the command while `funnelwatch up` is running there), or this process has another one open."
            ) from error


class NativeClient:
    """A ClickHouse server, or anything that speaks its native protocol."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._plain = _Pool(lambda: self._open(use_numpy=False))
        self._numpy = _Pool(lambda: self._open(use_numpy=True))

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
            settings: dict[str, Any] = {"insert_block_size": max(len(values[0]), 1)}
            if token:
                settings["insert_deduplication_token"] = token
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"
            client.execute(sql, values, columnar=True, settings=settings)

    def close(self) -> None:
        for pool in (self._plain, self._numpy):
            for client in pool.drain():
                client.disconnect()

    def _select(self, pool: _Pool[Any], sql: str, params: Params | None) -> tuple[Any, Any]:
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
                f"Cannot reach ClickHouse at {parts.hostname}:{parts.port or 9000}: {_first_line(error)}. "
                "Start it, or correct CLICKHOUSE_URL."
            ) from error
        except errors.Error as error:
            raise StoreError(_without_query(str(error)), int(getattr(error, "code", 0) or 0)) from error


def _texts(params: Params | None) -> dict[str, str]:
    return {name: encode_chdb(value) for name, value in (params or {}).items()}


def encode_chdb(value: Any) -> str:
    """chDB reads a parameter as escaped text (TSV for scalars, SQL literals inside arrays) and escapes nothing itself."""
    if isinstance(value, str):
        return _escape(value, "")
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    return _scalar(value)


def encode_native(value: Any) -> Any:
    """clickhouse-driver escapes strings and lists itself, but cuts datetimes to whole seconds."""
    if isinstance(value, (list, tuple)):
        return [item if isinstance(item, (str, int, float)) else _scalar(item) for item in value]
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime parameter needs a time zone")
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, (int, float, Decimal, np.integer, np.floating)):
        return str(value)
    # None is left out on purpose: chDB and the driver spell NULL differently, and no query needs it
    raise TypeError(f"cannot pass a {type(value).__name__} as a query parameter")


def _literal(item: Any) -> str:
    if isinstance(item, str):
        return "'" + _escape(item, "'") + "'"
    return _scalar(item)


def _escape(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return text.replace(quote, "\\" + quote) if quote else text


def _token_setting(token: str) -> str:
    return f" SETTINGS insert_deduplication_token = {_literal(token)}" if token else ""


@contextmanager
def _chdb_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # ChdbError is one
        code = _CODE.search(str(error))
        raise StoreError(_without_query(str(error)), int(code[1]) if code else 0) from None


def _without_query(message: str) -> str:
    """The engine repeats the whole statement in some errors; its reason stands before that."""
    return message.split(" In scope ")[0][:_MESSAGE_CHARS]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
