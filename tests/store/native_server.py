"""Today's ClickHouse engine behind the native protocol: chDB served on a socket, so that clickhouse-driver can be run against it.

Speaks what the driver says as of revision 54459 (the first with query parameters): hello, queries with settings and parameters,
inserts, ping, exceptions. The driver's own block code does the encoding on both ends.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from clickhouse_driver.block import BlockInfo, ColumnOrientedBlock
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.reader import read_binary_str, read_binary_uint8, read_binary_uint64
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_int32, write_binary_str, write_binary_uint8

from funnelwatch.store import native
from funnelwatch.store.client import StoreError
from funnelwatch.store.embedded import ChdbClient

REVISION = 54_459
BUFFER = 1 << 20
_UNESCAPE = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v"}


class NativeServer(socketserver.ThreadingTCPServer):
    """Serves one chDB client on a port of 127.0.0.1, a free one by default. `hang` makes it fall silent in mid-insert, as a restart would."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, engine: ChdbClient, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.engine = engine
        self.hang = threading.Event()

    @property
    def url(self) -> str:
        """What CLICKHOUSE_URL would be."""
        return f"clickhouse://default:@127.0.0.1:{self.server_address[1]}/default"


@contextmanager
def serve(engine: ChdbClient) -> Iterator[NativeServer]:
    """A running server for the block."""
    with NativeServer(engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Session(socketserver.BaseRequestHandler):
    server: NativeServer

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fin = BufferedSocketReader(self.request, BUFFER)
        self.fout = BufferedSocketWriter(self.request, BUFFER)
        context = native.context(use_numpy=False)
        context.server_info = SimpleNamespace(used_revision=REVISION, get_timezone=lambda: "UTC")
        self.blocks_in, self.blocks_out = BlockInputStream(self.fin, context), BlockOutputStream(self.fout, context)
        try:
            self._hello()
            while True:
                self._packet(read_varint(self.fin))
        except (EOFError, ConnectionError):
            return  # the client went away

    def _hello(self) -> None:
        read_varint(self.fin)
        read_binary_str(self.fin)
        for _ in range(3):
            read_varint(self.fin)
        for _ in range(3):
            read_binary_str(self.fin)
        write_varint(ServerPacketTypes.HELLO, self.fout)
        write_binary_str("ClickHouse", self.fout)
        for number in (26, 9, REVISION):
            write_varint(number, self.fout)
        write_binary_str("UTC", self.fout)
        write_binary_str("chdb", self.fout)
        write_varint(1, self.fout)
        self.fout.flush()
        read_binary_str(self.fin)  # the client's addendum: a quota key

    def _packet(self, kind: int) -> None:
        if kind == ClientPacketTypes.PING:
            self._send(ServerPacketTypes.PONG)
        elif kind == ClientPacketTypes.QUERY:
            query, settings, params = self._read_query()
            self._read_data()  # external tables: none
            try:
                self._answer(query, settings, params)
            except StoreError as error:
                self._exception(error)
        elif kind != ClientPacketTypes.CANCEL:
            raise ConnectionError(f"unexpected packet {kind}")

    def _read_query(self) -> tuple[str, dict[str, str], dict[str, str]]:
        read_binary_str(self.fin)
        self._skip_client_info()
        settings = self._read_settings()
        read_binary_str(self.fin)  # interserver secret
        read_varint(self.fin)  # stage
        read_varint(self.fin)  # compression
        query = read_binary_str(self.fin)
        return query, settings, {name: _unquote(text) for name, text in self._read_settings().items()}

    def _skip_client_info(self) -> None:
        read_binary_uint8(self.fin)
        for _ in range(3):
            read_binary_str(self.fin)
        read_binary_uint64(self.fin)
        read_binary_uint8(self.fin)
        for _ in range(3):
            read_binary_str(self.fin)
        for _ in range(3):
            read_varint(self.fin)
        read_binary_str(self.fin)
        for _ in range(2):
            read_varint(self.fin)
        read_binary_uint8(self.fin)  # no tracing header
        for _ in range(3):
            read_varint(self.fin)

    def _read_settings(self) -> dict[str, str]:
        found = {}
        while name := read_binary_str(self.fin):
            read_binary_uint8(self.fin)
            found[name] = read_binary_str(self.fin)
        return found

    def _answer(self, query: str, settings: dict[str, str], params: dict[str, str]) -> None:
        if query.lstrip().upper().startswith("INSERT") and query.rstrip().upper().endswith("VALUES"):
            self._insert(query.rstrip()[: -len("VALUES")], settings)
        else:
            result = self.server.engine.run(query, params)
            if result:
                header, columns = native.decode(result)
                self._data(header, [])
                self._data(header, columns)
            elif query.lstrip().upper().startswith(("SELECT", "WITH")):
                self._data(self.server.engine.describe(query, params), [])
        self._send(ServerPacketTypes.END_OF_STREAM)

    def _insert(self, statement: str, settings: dict[str, str]) -> None:
        table, names = statement.split("INTO", 1)[1].strip().rstrip(") ").split(" (", 1)
        types = self.server.engine.column_types[table]
        header = [(name.strip(), types[name.strip()]) for name in names.split(",")]
        self._data(header, [])
        columns: list[list[Any]] = [[] for _ in header]
        while (block := self._read_packet_data()).num_rows:
            self._data([], [], ServerPacketTypes.PROFILE_EVENTS)
            if self.server.hang.is_set():
                raise ConnectionError("restarted in mid-insert")
            for column, values in zip(columns, block.get_columns(), strict=True):
                column.extend(values)
        self._data([], [], ServerPacketTypes.PROFILE_EVENTS)
        out = BytesIO()
        writer = BufferedSocketWriter(SimpleNamespace(sendall=out.write), BUFFER)
        BlockOutputStream(writer, native.context(use_numpy=False)).write(ColumnOrientedBlock(header, columns))
        self.server.engine.insert_block(table, [name for name, _ in header], out.getvalue(), settings.get("insert_deduplication_token", ""))

    def _read_packet_data(self) -> Any:
        read_varint(self.fin)
        return self._read_data(kind_read=True)

    def _read_data(self, kind_read: bool = False) -> Any:
        if not kind_read:
            read_varint(self.fin)
        read_binary_str(self.fin)
        return self.blocks_in.read()

    def _data(self, header: list[tuple[str, str]], columns: list[Any], kind: int = ServerPacketTypes.DATA) -> None:
        write_varint(kind, self.fout)
        write_binary_str("", self.fout)
        if columns and len(columns[0]):
            self.blocks_out.write(ColumnOrientedBlock(header, [list(column) for column in columns]))
            return
        # the driver's writer begins a column even when it has no rows, its reader and a real server do not
        BlockInfo().write(self.fout)
        write_varint(len(header), self.fout)
        write_varint(0, self.fout)
        for name, kind in header:
            write_binary_str(name, self.fout)
            write_binary_str(kind, self.fout)
            write_binary_uint8(0, self.fout)
        self.fout.flush()

    def _send(self, kind: int) -> None:
        write_varint(kind, self.fout)
        self.fout.flush()

    def _exception(self, error: StoreError) -> None:
        write_varint(ServerPacketTypes.EXCEPTION, self.fout)
        write_binary_int32(error.code, self.fout)
        for text in ("DB::Exception", str(error), ""):
            write_binary_str(text, self.fout)
        write_binary_uint8(0, self.fout)
        self.fout.flush()


def _unquote(text: str) -> str:
    """A parameter arrives as a quoted literal; what is inside is the text chDB wants."""
    inner, out = iter(text[1:-1]), []
    for char in inner:
        if char == "\\":
            after = next(inner)
            out.append(_UNESCAPE.get(after, after))
        else:
            out.append(char)
    return "".join(out)
