"""A reverse proxy of one test case: passes everything to an ingest node, and spoils the first deliveries of each event."""

import gzip
import http.client
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What happens to the first `times` deliveries of each event. One of the others is set, or nothing happens.

    `busy`: a node over its rate answers. `status`: the request is answered here and never reaches a node. `reset`: the node
    stores it and the connection breaks. `delay`: the node stores it and the answer comes so many seconds later.
    """

    times: int = 1
    busy: bool = False
    status: int = 0
    reset: bool = False
    delay: float = 0.0

    def __bool__(self) -> bool:
        return self.busy or bool(self.status) or self.reset or bool(self.delay)


@dataclass(frozen=True)
class Delivery:
    """One POST as it came; times are seconds of the monotonic clock."""

    at: float
    path: str
    headers: dict[str, str]
    names: tuple[str, ...]
    spoiled: bool


class Proxy:
    """Listens on a port of its own. `deliveries` are the POSTs so far, `acknowledged` the events answered with 200 unspoiled."""

    def __init__(self, node: str, busy_node: str, fault: Fault) -> None:
        self.deliveries: list[Delivery] = []
        self.acknowledged: Counter[str] = Counter()
        self.reached: set[str] = set()  # events that a node has answered, whether or not the client heard of it
        self.stopping = threading.Event()
        self.busy = busy_node.removeprefix("http://")
        self.node = node.removeprefix("http://")
        self.fault = fault
        self._spoiled: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop listening and let go of held answers."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[tuple[str, ...], Fault]:
        """Note a delivery; the names of its events and what to do to it."""
        names = _names(body)
        with self._lock:
            fault = self.fault if any(self._spoiled[name] < self.fault.times for name in names) else Fault()
            self._spoiled.update(names)
            self.deliveries.append(Delivery(time.monotonic(), path, headers, names, bool(fault)))
        return names, fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # a page opens its connections at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may break its connection at any time; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_for(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: `deliveries` has it."""

        def do_GET(self) -> None:
            self._answer(*self._forward(proxy.node, b""))

        do_OPTIONS = do_HEAD = do_GET

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                raise ConnectionError("the client broke off")
            names, fault = proxy.take(self.path, dict(self.headers), body)
            if fault.status:
                self._answer(fault.status, {"Content-Type": "text/html"}, b"<h1>The load balancer is unwell</h1>")
                return
            answer = self._forward(proxy.busy if fault.busy else proxy.node, body)
            proxy.reached.update(names)
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            proxy.stopping.wait(fault.delay)
            self._answer(*answer)
            if answer[0] == 200 and not fault:
                proxy.acknowledged.update(names)

        def _forward(self, host: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
            upstream = http.client.HTTPConnection(host, timeout=20)
            try:
                upstream.request(self.command, self.path, body, dict(self.headers))
                response = upstream.getresponse()
                return response.status, dict(response.getheaders()), response.read()
            finally:
                upstream.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "connection", "date", "server"}:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client has stopped waiting
                self.close_connection = True

    return Handler


def _names(body: bytes) -> tuple[str, ...]:
    """What a body's events are called: `event` of a track call, `name` in GA4's and Shopify's own formats, else the call."""
    document: dict[str, Any] = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    messages = document.get("batch") or document.get("events") or [document]
    return tuple(message.get("event") or message.get("name") or message["type"] for message in messages)
