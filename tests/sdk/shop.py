"""A shop's web server and a collector standing in for ingest, for pages that run the built browser SDK."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SDK = Path(__file__).parents[2] / "sdk" / "browser"
DIST = SDK / "dist"
KEY = "wk_test"

Message = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """One delivery as the collector got it."""

    at: float
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def messages(self) -> list[Message]:
        return self.body["batch"]


@dataclass(frozen=True)
class Answer:
    """What the collector does with a delivery. `reset` and `hold` come after the body was read."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    hold: threading.Event | None = None


class Server:
    """Serves `pages`, the built SDK, and takes deliveries; every answer may be scripted."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.accepted: list[Message] = []
        self.preflights = 0
        self.requested: list[str] = []
        self.answers: list[Answer] = []
        self.always = Answer()
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.settings: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._http.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def page(self, path: str, html: str, headers: dict[str, str] | None = None, status: int = 200) -> str:
        """Serves `html` at `path` and returns its address."""
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        everything = {"Content-Type": f"{kind}; charset=utf-8", **(headers or {})}
        self.pages[path] = (status, everything, html.encode())
        return self.origin + path

    def loader(self) -> str:
        """The loader as the product's server fills it in."""
        manifest = json.loads((DIST / "manifest.json").read_text())
        config = {
            "key": KEY,
            "host": self.origin,
            "sdk": f"{self.origin}/sdk/{manifest['file']}",
            "integrity": manifest["integrity"],
            "settings": {"flushInterval": 50, "addons": [], **self.settings},
        }
        return (DIST / "loader.js").read_text().replace("__FUNNELWATCH_CONFIG__", json.dumps(config))

    def snippet(self, settings: str = "{}") -> str:
        """The inline snippet, with what a page sets itself as a JavaScript object literal."""
        html = (DIST / "snippet.html").read_text().replace("__FUNNELWATCH_LOADER__", f"{self.origin}/js/{KEY}.js")
        return f"{html}<script>funnelwatch.settings = {settings}</script>"

    def take(self, post: Post) -> Answer:
        """Records a delivery and decides its answer; what is answered with success counts as stored."""
        with self._changed:
            self.posts.append(post)
            answer = self.answers.pop(0) if self.answers else self.always
            if answer.status == 200:
                self.accepted.extend(post.messages)
            self._changed.notify_all()
        return answer

    def stored(self) -> list[Message]:
        """Accepted messages, each once, in the order of their time: what exactly-once ingest makes of them."""
        unique = {message["messageId"]: message for message in self.accepted}
        return sorted(unique.values(), key=lambda message: message["timestamp"])

    def named(self, event: str) -> list[Message]:
        """Stored track messages of that name."""
        return [message for message in self.stored() if message.get("event") == event]

    def wait(self, condition: Callable[[], Any], seconds: float = 8) -> Any:
        """Waits for a truthy `condition`, looked at after each delivery; raises AssertionError with what did arrive."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (found := condition()):
                left = deadline - time.monotonic()
                if left <= 0:
                    names = [message.get("event", message["type"]) for message in self.stored()]
                    raise AssertionError(f"not seen within {seconds} s; stored: {names}, posts: {len(self.posts)}")
                self._changed.wait(min(left, 0.1))
        return found

    def wait_for(self, event: str, count: int = 1, seconds: float = 8) -> list[Message]:
        """Waits until `count` track messages of that name are stored."""
        return self.wait(lambda: len(self.named(event)) >= count and self.named(event), seconds)

    def wait_views(self, count: int = 1) -> list[Message]:
        """Waits until `count` page views are stored."""

        def views() -> list[Message]:
            return [message for message in self.stored() if message["type"] == "page"]

        return self.wait(lambda: len(views()) >= count and views())


def _handler_for(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: a test prints what it needs."""

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            cors = {"Access-Control-Allow-Origin": self.headers.get("Origin", "*"), "Access-Control-Expose-Headers": "Retry-After"}
            for name, value in {**cors, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_OPTIONS(self) -> None:
            server.preflights += 1
            self.reply(204, {"Access-Control-Allow-Headers": "content-type"}, b"")

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.requested.append(path)
            script = {"Content-Type": "text/javascript; charset=utf-8"}
            if path == "/favicon.ico":
                self.reply(204, {}, b"")
            elif path in server.pages:
                self.reply(*server.pages[path])
            elif path == f"/js/{KEY}.js":
                self.reply(200, script, server.loader().encode())
            elif path.startswith("/sdk/") and (DIST / path.removeprefix("/sdk/")).is_file():
                self.reply(200, script, (DIST / path.removeprefix("/sdk/")).read_bytes())
            else:
                self.reply(404, {"Content-Type": "text/plain"}, b"not here")

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.partition("?")[0]
            if path != "/v1/batch":
                self.reply(*server.pages.get(path, (404, {}, b"")))
                return
            answer = server.take(Post(time.monotonic(), path, dict(self.headers), raw))
            if answer.hold:
                answer.hold.wait(20)
            if answer.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self.reply(answer.status, answer.headers, b'{"success": true}')

    return Handler
