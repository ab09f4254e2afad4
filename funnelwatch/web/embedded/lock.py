"""Who owns the data directory. The embedded engine can be open in one process only; the lock says in which."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """The process that has the store open; `port` is None for a command that is not `up`."""

    pid: int
    command: str
    port: int | None = None


class Held(Exception):
    """Another process owns the directory."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(f"in use by `funnelwatch {owner.command}` (process {owner.pid})")
        self.owner = owner


@contextmanager
def hold(directory: Path, command: str, port: int | None = None) -> Iterator[None]:
    """Own `directory` for the block. The system gives a killed process's lock back. Raises Held."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(_read(descriptor)) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(Owner(os.getpid(), command, port))).encode())
        yield
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Owner:
    text = os.pread(descriptor, 1000, 0)
    # Empty for the instant between another process's flock and its write.
    return Owner(**json.loads(text)) if text else Owner(0, "?")
