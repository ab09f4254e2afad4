"""A mail server that keeps what it is sent: SMTP with a login, without encryption."""

import base64
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """`said`: every line a client wrote, logins in the clear; `mails`: (sender, receivers, text)."""

    login: str
    port: int = 0
    said: list[str] = field(default_factory=list)
    mails: list[tuple[str, list[str], str]] = field(default_factory=list)


@contextmanager
def mail_server(user: str, password: str) -> Iterator[Mailbox]:
    """Running, on a free port."""
    box = Mailbox(base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.answer("220 ready")
            sender, receivers = "", []
            while line := self.line():
                command, _, rest = line.partition(" ")
                command = command.upper()
                if command == "EHLO":
                    self.answer("250-here", "250 AUTH PLAIN")
                elif command == "AUTH":
                    self.answer("235 welcome" if rest == f"PLAIN {box.login}" else "535 wrong")
                elif command == "MAIL":
                    sender = rest
                    self.answer("250 ok")
                elif command == "RCPT":
                    receivers.append(rest)
                    self.answer("250 ok")
                elif command == "DATA":
                    self.answer("354 go on")
                    box.mails.append((sender, receivers, "\n".join(iter(self.line, "."))))
                    self.answer("250 kept")
                else:
                    self.answer("221 bye")
                    return

        def line(self) -> str:
            text = self.rfile.readline().decode().rstrip("\r\n")
            box.said.append(text)
            return text

        def answer(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box
        server.shutdown()
