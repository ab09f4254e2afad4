"""Ingest nodes in processes of their own, for what cannot be seen from within."""

import subprocess
import sys
from pathlib import Path


class Child:
    """`tests/ingest/child.py`: an ingest node in a process of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = ""
        self.start()

    def start(self) -> None:
        """Serve, on a new port."""
        self._process = self._run("serve")
        self.url = self._process.stdout.readline().decode().strip()
        assert self.url.startswith("http://"), "the child did not start"

    @property
    def pid(self) -> int:
        """Of the serving process."""
        return self._process.pid

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait()

    def finish(self) -> dict[str, int]:
        """Stop it, drain what is left, and count what is stored by message id."""
        self._process.terminate()
        self._process.wait(20)
        reading = self._run("count")
        out, _ = reading.communicate(timeout=60)
        assert reading.returncode == 0
        return {name: int(count) for name, count in (line.split() for line in out.decode().splitlines())}

    def _run(self, mode: str) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("child.py")
        return subprocess.Popen([sys.executable, script, mode, str(self._directory)], stdout=subprocess.PIPE)
