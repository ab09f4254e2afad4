"""chDB: the ClickHouse engine in this process."""

import atexit
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from funnelwatch.store import native
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

#: Of the threads that merge parts, above this process's own. Beside a burst of events they took a third of two cores: 47,000 events a second were accepted, so 61,000.
_MERGES_NICE = 10
_CODE = re.compile(r"Code: (\d+)\.")


class ChdbClient:
    """The engine in this process. One directory a process, one process a directory; opened on first use, never before a fork."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._pool: Pool[Any] = Pool(partial(open_connection, self.path))
        # The engine's threads outlive the interpreter: with an open store and merges going, 18 exits of 30 crashed or never ended.
        # Not by weakref.finalize: it runs whenever the collector does, and a Ctrl-C that comes just then is lost.
        atexit.register(_close, self._pool)
        self.column_types = ColumnTypes(self)
        self._merges_give_way = False

    def query(self, sql: str, params: Params | None = None) -> Rows:
        header, columns = self._select(sql, params, use_numpy=False)
        return Rows(tuple(name for name, _ in header), tuple(columns))

    def arrays(self, sql: str, params: Params | None = None) -> Arrays:
        header, columns = self._select(sql, params, use_numpy=True)
        return {name: np.asarray(column) for (name, _), column in zip(header, columns, strict=True)}

    def command(self, sql: str, params: Params | None = None) -> None:
        self.run(sql, _texts(params))

    def insert(self, table: str, columns: Mapping[str, Column], token: str = "") -> None:
        types = self.column_types[table]
        block = native.encode(list(columns), [types[name] for name in columns], list(columns.values()))
        self.insert_block(table, list(columns), block, token)

    def insert_lines(self, table: str, names: Sequence[str], lines: bytes, token: str = "") -> None:
        self._stream(table, names, "JSONCompactEachRow", lines, token)

    def parquet(self, path: Path, sql: str, params: Params | None = None) -> None:
        path.write_bytes(self.run(sql, _texts(params), "Parquet"))

    def close(self) -> None:
        _close(self._pool)

    def run(self, sql: str, texts: Mapping[str, str], form: str = "Native") -> bytes:
        """The result of a statement in a format; parameters are text the engine reads as it is (see `encode_chdb`)."""
        with self._pool.connection() as connection, _chdb_errors():
            return bytes(connection.query(sql, form, params=texts).bytes())

    def insert_block(self, table: str, names: Sequence[str], block: bytes, token: str = "") -> None:
        """Insert one Native block."""
        self._stream(table, names, "Native", block, token)

    def describe(self, sql: str, texts: Mapping[str, str]) -> list[tuple[str, str]]:
        """(name, type) of a SELECT's columns: an empty result comes without its header."""
        _, (names, types, *_) = native.decode(self.run(f"DESCRIBE ({sql})", texts))
        return list(zip(names, types, strict=True))

    def _select(self, sql: str, params: Params | None, use_numpy: bool) -> tuple[list[tuple[str, str]], list[Column]]:
        texts = _texts(params)
        data = self.run(sql, texts)
        if data:
            return native.decode(data, use_numpy)
        header = self.describe(sql, texts)
        return header, [native.empty(kind) for _, kind in header]

    def _stream(self, table: str, names: Sequence[str], form: str, data: bytes, token: str) -> None:
        sql = f"INSERT INTO {table} ({', '.join(names)}) SETTINGS {_insert_settings(token)}"
        with self._pool.connection() as connection, _chdb_errors(), connection.send_insert(sql, form) as stream:
            stream.append(data)
            stream.finish()
        if not self._merges_give_way:  # now there is a table, and with it the engine's threads
            _let_merges_give_way()
            self._merges_give_way = True


def open_connection(path: Path) -> Any:
    """chDB's own connection to the store in a directory. Raises StoreUnavailable with what to do."""
    from chdb.state.sqlitelike import Connection  # 0.4 s to import: only processes that open the engine pay

    try:
        path.mkdir(parents=True, exist_ok=True)
        return Connection(str(path))
    except (RuntimeError, OSError) as error:
        raise StoreUnavailable(
            f"Cannot open the event store in {path}: {first_line(error)}. Another process may be using it "
            "(stop it, or run the command while `funnelwatch up` is running there), or this process has another one open."
        ) from error


def _close(pool: Pool[Any]) -> None:
    for connection in pool.drain():
        connection.close()


def _let_merges_give_way() -> None:
    """Whoever waits for an answer goes first. Where threads have no priorities of their own, as outside Linux, nothing happens."""
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + _MERGES_NICE, 19)
    for name in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # that thread has just ended
            if name.read_text().strip() == "MergeMutate":
                os.setpriority(os.PRIO_PROCESS, int(name.parent.name), nice)


def _texts(params: Params | None) -> dict[str, str]:
    return {name: encode_chdb(value) for name, value in (params or {}).items()}


def encode_chdb(value: Any) -> str:
    """chDB reads a parameter as escaped text (TSV for scalars, SQL literals inside arrays) and escapes nothing itself."""
    if isinstance(value, str):
        return _escape(value, "")
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    return scalar_text(value)


def _literal(item: Any) -> str:
    if isinstance(item, str):
        return "'" + _escape(item, "'") + "'"
    return scalar_text(item)


def _escape(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return text.replace(quote, "\\" + quote) if quote else text


def _insert_settings(token: str) -> str:
    plain = ", ".join(f"{name} = {value}" for name, value in INSERT_SETTINGS.items())
    return f"{plain}, insert_deduplication_token = {_literal(token)}" if token else plain


@contextmanager
def _chdb_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # ChdbError is one
        code = _CODE.search(str(error))
        raise StoreError(without_query(str(error)), int(code[1]) if code else 0) from None
