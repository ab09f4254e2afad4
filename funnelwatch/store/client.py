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

import numpy as np

from funnelwatch.store.native import Column

Params = Mapping[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]
T = TypeVar("T")

_MESSAGE_CHARS = 1_000


class StoreError(Exception):
    """The engine refused a statement. `code` is ClickHouse's error code (0 when it gave none)."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """The event store cannot be reached or opened; the message says what to do."""


#: What an insert is made with. Looking for rows of one block that a merge would fold took 13 of 31 us an event, and there are none:
#: whoever writes events leaves repeated ones out.
INSERT_SETTINGS: Mapping[str, int] = {"optimize_on_insert": 0}


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

    def insert_lines(self, table: str, names: Sequence[str], lines: bytes, token: str = "") -> None:
        """Insert rows given as JSON arrays, one a line, of the columns `names`. For millions: chDB parses them without the interpreter.

        Decimals may be text. Raises StoreError (with a code for bad data) where a line does not fit; then none of them is stored.
        """

    def parquet(self, path: Path, sql: str, params: Params | None = None) -> None:
        """Run a SELECT into a Parquet file. Columns are of the types `store.parquet` lists."""

    def close(self) -> None:
        """Give the connections back. Idempotent."""


def connect(target: str | Path) -> Client:
    """A client for a `clickhouse://user:password@host:9000/database` URL, else for a chDB directory (created if absent)."""
    if re.match(r"clickhouses?://", str(target)):
        from funnelwatch.store.server import NativeClient  # each engine imports this module

        return NativeClient(str(target))
    from funnelwatch.store.embedded import ChdbClient

    return ChdbClient(target)


class ColumnTypes:
    """Types by column of a client's tables, looked up once: a schema only changes by a migration at start."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, dict[str, str]] = {}

    def __getitem__(self, table: str) -> dict[str, str]:
        if table not in self._known:
            sql = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            self._known[table] = dict(self._client.query(sql, {"table": table}))
        return self._known[table]


class Pool(Generic[T]):
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


def scalar_text(value: Any) -> str:
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


def without_query(message: str) -> str:
    """The engine repeats the whole statement in some errors; its reason stands before that."""
    return message.split(" In scope ")[0][:_MESSAGE_CHARS]


def first_line(error: BaseException) -> str:
    """An error's first line, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
