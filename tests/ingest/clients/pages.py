"""The browser clients: pages of a shop in one Chromium, each case with a visitor of its own."""

import functools
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from tests.ingest.clients.cases import CALLS, LEAVING, PAGE_CLIENTS, SENT, Case
from tests.ingest.clients.installed import CHROMIUM, HERE
from tests.ingest.clients.proxy import Proxy
from tests.sdk.conftest import FLAGS

LEAVE = "location.href += '&left=1'"


def run_pages(keys: dict[Case, str], proxies: dict[Case, Proxy], folder: Path, seconds: float) -> dict[Case, set[str]]:
    """Returns when all have sent what they have, or the seconds are over; the names of the events each client gave up on."""
    if not proxies:
        return {}
    with ExitStack() as stack:
        shop = serve_shop(stack, folder)
        chromium = stack.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(chromium.close)
        deadline = time.monotonic() + seconds
        pages = {case: chromium.new_context().new_page() for case in proxies}
        for case in sorted(pages, key=lambda case: -case.fault.delay):  # who takes longest begins
            page = pages[case]
            name, switch = PAGE_CLIENTS[case.client]
            told = {"key": keys[case], "host": proxies[case].url} | ({switch: "1"} if switch else {})
            page.goto(f"{shop}/{name}.html?{urlencode(told)}")
            page.evaluate("() => window.ready")
            page.evaluate(f"calls => {{ send(calls); {LEAVE if case.fault_name == 'page left at once' else ''} }}", CALLS)
            if case.fault_name == "page left unanswered":
                wait_for(lambda case=case: proxies[case].reached >= SENT, deadline)
                page.evaluate(f"() => {{ {LEAVE} }}")
        for case, proxy in proxies.items():
            if not case.may_forget:  # the others take long enough for it to send what it has
                wait_for(lambda case=case, proxy=proxy: is_done(case, proxy), deadline)
        return {case: set() if case.fault_name in LEAVING else set(page.evaluate("() => givenUp")) for case, page in pages.items()}


def is_done(case: Case, proxy: Proxy) -> bool:
    """Whether a client has nothing left to send."""
    return proxy.reached >= case.names and (not case.sends_again or set(proxy.acknowledged) >= SENT)


def wait_for(condition: Callable[[], bool], deadline: float) -> None:
    """Returns when the condition holds or the time is over: the tests then say what is missing."""
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def serve_shop(stack: ExitStack, folder: Path) -> str:
    """Bundles the shop's pages and serves them; their origin, which is not ingest's."""
    for page in sorted({page for page, _ in PAGE_CLIENTS.values()}):
        bundle = ["node_modules/.bin/esbuild", f"{page}.page.mjs", "--bundle", "--format=iife", f"--outfile={folder / page}.js"]
        subprocess.run(bundle, cwd=HERE, capture_output=True, check=True)
        (folder / f"{page}.html").write_text(f'<!doctype html><title>Shop</title><script src="{page}.js"></script>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of what it serves."""
