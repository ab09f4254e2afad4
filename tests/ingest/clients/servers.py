"""The server clients: one process a language drives all its cases."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.ingest.clients.cases import CALLS, SERVER_CLIENTS, Case
from tests.ingest.clients.installed import HERE
from tests.ingest.clients.proxy import Proxy

COMMANDS = {"node": ["node", str(HERE / "run_node.mjs")], "python": [sys.executable, str(HERE / "run_python.py")]}


class Runner:
    """Runs the cases of one language; none, no process."""

    def __init__(self, language: str, keys: dict[Case, str], proxies: dict[Case, Proxy], folder: Path, stack: ExitStack) -> None:
        self._cases = {str(case): case for case in proxies if SERVER_CLIENTS.get(case.client) == language}
        if not self._cases:
            return
        orders = [
            {"name": name, "client": case.client, "key": keys[case], "url": proxies[case].url, "timeout": case.timeout, "calls": CALLS}
            for name, case in self._cases.items()
        ]
        path = folder / f"{language}.json"
        path.write_text(json.dumps(orders))
        self._process = subprocess.Popen([*COMMANDS[language], str(path)], stdout=subprocess.PIPE, text=True)
        stack.callback(self._process.wait)
        stack.callback(self._process.kill)

    def finish(self, seconds: float) -> dict[Case, set[str]]:
        """Wait; the names of the events each client gave up on."""
        if not self._cases:
            return {}
        printed, _ = self._process.communicate(timeout=seconds)
        assert self._process.returncode == 0
        return {self._cases[name]: set(names) for name, names in json.loads(printed.splitlines()[-1]).items()}
