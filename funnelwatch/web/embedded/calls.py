"""Jobs of other processes, carried out by `up` through a socket in its data directory, because only it can open the store.

One JSON object a line. The caller sends `{"job", "options"}`; it gets `{"said": text}` and `{"progress": text}` lines (the next makes
the latter old) and at the end one `{"result"}` or `{"error"}`. A caller that goes away stops its job at the next line of progress.
"""

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connections

from funnelwatch.web import jobs
from funnelwatch.web.errors import Error
from funnelwatch.web.progress import Progress

logger = logging.getLogger(__name__)

_NAME = "commands.sock"


@contextmanager
def serving(directory: Path) -> Iterator[None]:
    """Carry out calls for the block, each in a thread of its own."""
    with _short(directory) as short:
        Path(short, _NAME).unlink(missing_ok=True)
        server = _Server(str(Path(short, _NAME)), _Call)
    os.chmod(directory / _NAME, 0o600)
    thread = threading.Thread(target=server.serve_forever, name="commands", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        (directory / _NAME).unlink(missing_ok=True)


def call(directory: Path, job: str, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Have the `up` that owns `directory` run a job. Raises Error with its words, or when it stopped in the middle."""
    with _short(directory) as short, socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(Path(short, _NAME)))
        except OSError:
            raise Error(f"`funnelwatch up` owns {directory} but takes no commands (yet): try again in a moment") from None
        connection.sendall(json.dumps({"job": job, "options": options}).encode() + b"\n")
        for line in connection.makefile():
            answer = json.loads(line)
            if "result" in answer:
                return dict(answer["result"])
            if "error" in answer:
                raise Error(answer["error"])
            if "said" in answer:
                progress.say(answer["said"])
            else:
                progress.passing(partial(str, answer["progress"]))
    raise Error("`funnelwatch up` stopped before the command was done; start it and run the command again")


class _Relayed(Progress):
    """What the caller is to write, and how often it may."""

    def __init__(self, answer: Callable[..., None]) -> None:
        super().__init__(lambda text: answer(progress=text))
        self._answer = answer

    def say(self, text: str) -> None:
        self.end()
        self._answer(said=text)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        try:
            progress = _Relayed(self._answer)
            result = jobs.run(request["job"], request["options"], progress)
            progress.end()
            self._answer(result=result)
        except Error as error:
            self._answer(error=str(error))
        except (BrokenPipeError, ConnectionResetError):
            logger.warning("the caller of %s went away", request["job"])
        except Exception:
            # The thread's last stop: the caller must get an answer, and `up` must live on.
            logger.exception("job %s failed", request["job"])
            self._answer(error=f"{request['job']} failed; the log of `funnelwatch up` says why")
        finally:
            connections.close_all()

    def _answer(self, **answer: Any) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")


@contextmanager
def _short(directory: Path) -> Iterator[str]:
    """A path to `directory` of at most 107 bytes with the socket's name, which is all that a socket's address holds."""
    if len(os.fsencode(directory / _NAME)) < 108:
        yield str(directory)
        return
    descriptor = os.open(directory, os.O_PATH)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
