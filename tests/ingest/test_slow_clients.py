"""Clients that never finish what they began, over raw sockets to a real server: they cost themselves, not the others."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from funnelwatch.web import connection
from tests.ingest.conftest import Node, wait_for

HEAD = b"POST /v1/batch HTTP/1.1\r\nHost: shop\r\n"
#: A tenth of the product's times, so that a test does not take long.
TENTH = {name: getattr(connection, name)._replace(seconds=getattr(connection, name).seconds / 10) for name in ("IDLE", "HEAD", "BODY")}
AT_MOST = 3.0  # what a closed connection may have lasted, on a busy machine


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit in TENTH.items():
        monkeypatch.setattr(connection, name, limit)
    monkeypatch.setattr(connection, "CHECK_SECONDS", connection.CHECK_SECONDS / 10)


@pytest.fixture
def pages() -> Iterator[int]:
    """The port of a server whose application reads whatever is sent, as Django does, and takes its time on /slow."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        if scope["path"] == "/slow":
            await asyncio.sleep(2.5)
        body = b"%d bytes" % size
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=connection.Connection, lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(5)


def connect(port: int, first: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(first)
    return client


def drip(clients: list[socket.socket], piece: bytes, seconds: float = AT_MOST) -> float:
    """Send a piece on each every tenth of a second until the server has closed them all; the seconds that took."""
    begun, left = time.monotonic(), set(clients)
    while left:
        assert time.monotonic() - begun < seconds, f"{len(left)} are still open"
        for client in list(left):
            try:
                client.send(piece)
            except OSError:
                left.discard(client)
        time.sleep(0.1)
    return time.monotonic() - begun


def everything(client: socket.socket) -> bytes:
    """What the server says until it closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def test_two_hundred_connections_that_drip_headers_keep_nobody_waiting_and_are_closed(node: Node) -> None:
    node.batch({"type": "track", "event": "Warm", "anonymousId": "v"})  # the first event of a process loads what enriches it
    clients = [connect(node.port, HEAD) for _ in range(200)]
    closed: list[float] = []
    dripping = threading.Thread(target=lambda: closed.append(drip(clients, b"X-A: b\r\n")))
    dripping.start()
    slowest, sent = 0.0, 0
    while dripping.is_alive():
        begun = time.monotonic()
        assert node.batch({"type": "track", "event": "Tick", "anonymousId": "v", "messageId": f"m{sent}"}).status_code == 200
        slowest, sent = max(slowest, time.monotonic() - begun), sent + 1
    assert closed, "every connection is closed in time"
    assert closed[0] > TENTH["HEAD"].seconds - 0.2
    assert slowest < 0.5
    assert sent > 20
    wait_for(lambda: len(node._server.server_state.connections) <= 1)


def test_a_head_that_stops_half_way_is_answered_408(node: Node) -> None:
    client = connect(node.port, HEAD)
    begun = time.monotonic()
    answer = everything(client)
    assert TENTH["HEAD"].seconds - 0.1 < time.monotonic() - begun < AT_MOST
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "headers_timeout"' in answer


def test_a_connection_that_says_nothing_or_only_line_breaks_is_closed(node: Node) -> None:
    silent = connect(node.port)
    drip([connect(node.port) for _ in range(3)], b"\r\n")
    assert everything(silent) == b""


def test_endless_headers_end_at_the_cap_however_they_are_cut(node: Node) -> None:
    steady = connect(node.port, HEAD + b"X-A: ")
    with contextlib.suppress(OSError):
        for _ in range(80):
            steady.sendall(b"b" * 950)
            time.sleep(0.002)
    assert everything(steady).startswith(b"HTTP/1.1 431 ")
    for piece in (b"X-A: " + b"b" * 1_000 + b"\r\n", b"X" * 60_000, b"X-A: b\r\n" * 5_000):
        client, sent = connect(node.port, HEAD), 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                client.sendall(piece)
                sent += len(piece)
                time.sleep(0)
        assert sent < 20_000_000  # the cap, and what the system's buffers hold while the server waits for its turn
    assert node.batch({"type": "track", "event": "Tick", "anonymousId": "v"}).status_code == 200


def test_a_slow_body_gets_408_from_ingest_and_its_connection_does_not_stay(node: Node) -> None:
    node.app._bodies.seconds = 0.5
    client = connect(node.port, HEAD + b"Authorization: Basic d2tfdGVzdDo=\r\nContent-Length: 5000\r\n\r\n")
    drip([client], b" ", 4.0)
    other = connect(node.port, HEAD + b"Content-Length: 5000\r\n\r\n{")
    assert everything(other).startswith(b"HTTP/1.1 408 ")


def test_a_page_never_waits_longer_for_a_body_nor_reads_a_larger_one(pages: int) -> None:
    drip([connect(pages, b"POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n") for _ in range(20)], b"1\r\nx\r\n")
    for start, piece in (
        (b"Content-Length: 100000000000\r\n\r\n", b"x" * 65_536),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x" * 65_536),  # nothing reads these, so nothing else would stop them
    ):
        client, sent = connect(pages, b"POST /login HTTP/1.1\r\nHost: h\r\n" + start), 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                client.sendall(piece)
                sent += len(piece)
        assert sent < 20_000_000  # 4 MB and what the system's buffers hold


def test_a_slow_application_and_pipelined_requests_are_nobodys_fault(pages: int) -> None:
    client = connect(pages, b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + b"POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab")
    time.sleep(0.2)
    client.sendall(b"cGET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    answer = everything(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert b"3 bytes" in answer


def test_asking_for_another_protocol_is_an_ordinary_request_and_leaves_nothing_open(pages: int) -> None:
    for protocol in (b"websocket", b"h2c", b"TLS/1.0"):
        client = connect(pages, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Key: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        drip([client], b"\x81\x05hello")


def test_a_client_that_keeps_its_connection_may_send_again_and_again(pages: int) -> None:
    client = connect(pages)
    for _ in range(6):
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000)
        assert client.recv(1000).endswith(b"70000 bytes")
        time.sleep(0.6)
