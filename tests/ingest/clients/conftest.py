"""All cases at once: one ingest node and one that is over its rate, a proxy for each case, the real clients in front."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from funnelwatch.ingest.limits import RateLimit
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.store.client import Client
from tests.ingest.clients.cases import (
    CALLS,
    CASES,
    LEAVING,
    PAGE_CASES,
    PAGE_CLIENTS,
    SENT,
    SERVER_CASES,
    SERVER_CLIENTS,
    Case,
)
from tests.ingest.clients.proxy import Delivery, Proxy
from tests.ingest.conftest import Node
from tests.sdk.conftest import FLAGS

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FIRST_PROJECT = 20_000_000  # far from the numbers other tests count up
SECONDS = 100  # for all clients together; the longest time-out among them is 30 s
RETRY_AFTER = 3  # more than any client waits by its own schedule


class AlwaysOver(RateLimit):
    """A project that is always over its rate."""

    def take(self, project_id: int, count: int, now: float) -> float:
        """Ingest rounds up to the next whole second."""
        return RETRY_AFTER - 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    rows: list[dict[str, Any]]
    given_up: set[str]
    deliveries: list[Delivery]

    @property
    def counts(self) -> Counter[str]:
        """How often each event is stored."""
        return Counter(row["name"] for row in self.rows)


def missing_for(case: Case) -> str:
    """The first program a case needs and does not find; "" when it can run. Where tests decide on a change they run or fail."""
    needed = {"node": ["node", "npm"], "python": []}[SERVER_CLIENTS[case.client]] if case in SERVER_CASES else ["node", "npm", CHROMIUM]
    return next((name for name in needed if shutil.which(name) is None and "CI" not in os.environ), "")


@pytest.fixture(scope="module")
def outcomes(store: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Outcome]]:
    """Runs every case that can run here, all at once."""
    folder = tmp_path_factory.mktemp("clients")
    cases = [case for case in CASES if not missing_for(case)]
    projects = {case: FIRST_PROJECT + number for number, case in enumerate(cases)}
    with ExitStack() as stack:
        node, busy = (Node(folder / name, store, FIRST_PROJECT) for name in ("spool", "busy"))
        keys = {key_of(case): KeyInfo(project_id=project, salt="salt") for case, project in projects.items()}
        for one in (node, busy):
            stack.callback(one.close)
            one.app.snapshot = Snapshot(keys=keys)
        busy.app._limit = AlwaysOver(1, 1)
        node.start_drain()
        proxies = {case: Proxy(node.url, busy.url, case.fault) for case in cases}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        given_up = run_all(proxies, folder)
        rows: dict[int, list[dict[str, Any]]] = {project: [] for project in projects.values()}
        node.stored()
        stored = store.query("SELECT * FROM events WHERE project_id >= {first:UInt32}", {"first": FIRST_PROJECT}).dicts()
        for row in stored:
            rows[row["project_id"]].append(row)
        yield {case: Outcome(rows[projects[case]], given_up[case], proxies[case].deliveries) for case in cases}


def key_of(case: Case) -> str:
    """A write key a case."""
    return f"wk_{CASES.index(case)}"


def run_all(proxies: dict[Case, Proxy], folder: Path) -> dict[Case, set[str]]:
    """Runs the clients against their proxies; what each gave up on."""
    if any(case in PAGE_CASES or SERVER_CLIENTS[case.client] == "node" for case in proxies):
        install()
    runners = {
        "node": Runner(["node", str(HERE / "run_node.mjs")]),
        "python": Runner([sys.executable, str(HERE / "run_python.py")]),
    }
    for language, runner in runners.items():
        runner.start({case: proxy for case, proxy in proxies.items() if SERVER_CLIENTS.get(case.client) == language})
    pages = {case: proxy for case, proxy in proxies.items() if case in PAGE_CASES}
    given_up = run_pages(pages, folder) if pages else {}
    for runner in runners.values():
        given_up |= runner.finish()
    return given_up


def install() -> None:
    """The clients at their locked versions, once a lock."""
    stamp = HERE / "node_modules" / f".installed-{hashlib.sha256((HERE / 'package-lock.json').read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.touch()


class Runner:
    """A process that drives the server clients of one language."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._cases: dict[str, Case] = {}
        self._process: subprocess.Popen[str] | None = None

    def start(self, proxies: dict[Case, Proxy]) -> None:
        """Begin, with a case for each proxy."""
        self._cases = {str(case): case for case in proxies}
        if not proxies:
            return
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        orders = [
            {"name": str(case), "client": case.client, "key": key_of(case), "url": proxy.url, "timeout": case.timeout, "calls": CALLS}
            for case, proxy in proxies.items()
        ]
        self._process.stdin.write(json.dumps(orders))
        self._process.stdin.close()

    def finish(self) -> dict[Case, set[str]]:
        """Wait; the names of the events each client gave up on."""
        if self._process is None:
            return {}
        self._process.stdin = None  # closed; communicate would write to it
        printed, _ = self._process.communicate(timeout=SECONDS)
        assert self._process.returncode == 0
        return {self._cases[name]: set(names) for name, names in json.loads(printed.splitlines()[-1]).items()}


def run_pages(proxies: dict[Case, Proxy], folder: Path) -> dict[Case, set[str]]:
    """The browser clients, each case with a visitor of its own, in one Chromium."""
    with ExitStack() as stack:
        shop = serve_pages(stack, folder / "shop")
        chromium = stack.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(chromium.close)
        pages = {case: open_page(chromium, shop, case, proxy) for case, proxy in proxies.items()}
        for case, page in pages.items():
            page.evaluate("() => window.ready")
            leave = "location.href += '&left=1'" if case.fault_name == "page left at once" else ""
            page.evaluate(f"calls => {{ send(calls); {leave} }}", CALLS)
        deadline = time.monotonic() + SECONDS
        for case, page in pages.items():
            if case.fault_name == "page left unanswered":
                wait_for(lambda proxy=proxies[case]: proxy.reached >= SENT, deadline)
                page.evaluate("() => { location.href += '&left=1' }")
        for case, proxy in proxies.items():
            if not case.may_forget:  # the others take long enough for it to send what it has
                wait_for(lambda case=case, proxy=proxy: done(case, proxy), deadline)
        return {case: set() if case.fault_name in LEAVING else set(page.evaluate("() => givenUp")) for case, page in pages.items()}


def serve_pages(stack: ExitStack, folder: Path) -> str:
    """Bundles the pages and serves them; their origin."""
    for page in sorted({page for page, _ in PAGE_CLIENTS.values()}):
        bundle = ["node_modules/.bin/esbuild", f"{page}.page.mjs", "--bundle", "--format=iife", f"--outfile={folder / page}.js"]
        subprocess.run(bundle, cwd=HERE, capture_output=True, check=True)
        (folder / f"{page}.html").write_text(f'<!doctype html><title>Shop</title><script src="{page}.js"></script>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def open_page(chromium: Browser, shop: str, case: Case, proxy: Proxy) -> Page:
    """The shop's page for a visitor nobody has seen before."""
    name, switch = PAGE_CLIENTS[case.client]
    asked = {"key": key_of(case), "host": proxy.url} | ({switch: "1"} if switch else {})
    page = chromium.new_context().new_page()
    page.goto(f"{shop}/{name}.html?{urlencode(asked)}")
    return page


def done(case: Case, proxy: Proxy) -> bool:
    """Whether a client has nothing left to send."""
    return proxy.reached >= case.names and (not case.sends_again or set(proxy.acknowledged) >= SENT)


def wait_for(condition: Callable[[], bool], deadline: float) -> None:
    """Returns when the condition holds or the time of all clients is over: the tests then say what is missing."""
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
