"""What the clients need on this machine, and their packages at the locked versions."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.ingest.clients.cases import SERVER_CLIENTS, Case

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"


def needs_packages(case: Case) -> bool:
    """Whether a case's client comes from npm."""
    return SERVER_CLIENTS.get(case.client) != "python"


def missing_for(case: Case) -> str:
    """The first program a case needs and does not find; "" when it can run. Where tests decide on a change they run or fail."""
    programs = ["node", "npm"] if needs_packages(case) else []
    if case.client not in SERVER_CLIENTS:
        programs.append(CHROMIUM)
    return next((name for name in programs if shutil.which(name) is None and "CI" not in os.environ), "")


def install() -> None:
    """`npm ci`, once a lock. Without the packages' own install scripts: nothing here needs what they build."""
    stamp = HERE / "node_modules" / f".installed-{hashlib.sha256((HERE / 'package-lock.json').read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.touch()
