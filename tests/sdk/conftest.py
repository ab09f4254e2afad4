"""Chromium, a shop and a collector for the browser SDK's tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.sdk.shop import Server

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless. A file its own: Playwright keeps an event loop in the thread, in which Django refuses queries."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A visitor nobody has seen before."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; a test fails when anything of the SDK's throws into it."""
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    ours = [text for text in thrown if not text.startswith("shop:")]
    assert not ours, f"thrown into the shop: {ours}"


@pytest.fixture
def shop() -> Iterator[Server]:
    """The shop's own web server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def collector() -> Iterator[Server]:
    """The FunnelWatch server, on another origin than the shop."""
    server = Server()
    yield server
    server.close()
