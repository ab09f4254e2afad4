"""A real browser in the demo's shop, with the real SDK, against a real `funnelwatch up`."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.platform.processes import python, result, up

BROWSER = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: Headless Chromium says so in its user agent and counts as a bot.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
JOURNEY = ["page_view", "view_item", "add_to_cart", "view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase"]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=BROWSER)
        yield browser.new_context(user_agent=USER_AGENT).new_page()
        browser.close()


def test_a_purchase_in_the_browser_is_in_the_live_view_and_in_clickhouse_within_five_seconds(tmp_path: Path, page: Page) -> None:
    data = tmp_path / "var"
    made = result("init", "--project", "shop", "--currency", "INR", data=data)
    with up(data, FUNNELWATCH_DEMO="true") as running:
        live = page.context.new_page()
        live.goto(f"{running.url}/login/?next=/p/shop/live/")
        live.get_by_label("Name or e-mail").fill(made["admin_email"])
        live.get_by_label("Password").fill(made["admin_password"])
        live.get_by_role("button", name="Log in").click()
        expect(live.get_by_role("heading", level=1)).to_contain_text("last messages")

        _buy(page, running.url)
        bought = time.monotonic()
        expect(live.locator("#messages")).to_contain_text("purchase", timeout=5_000)
        assert time.monotonic() - bought < 5
        for name in JOURNEY:
            expect(live.locator("#messages")).to_contain_text(name)
        # The view reads the store, and both tables are written by one block.
        running.process.kill()
    stored = python(
        "from funnelwatch.store import client\nfrom django.conf import settings\n"
        "store = client.connect(settings.CLICKHOUSE_URL.removeprefix('chdb://'))\n"
        "for row in store.query('SELECT name, session_id, value, currency, browser, os, bot FROM events FINAL ORDER BY ts'): print(*row)",
        data,
    )
    rows = [line.split(" ") for line in stored.splitlines()]
    names = [row[0] for row in rows]
    assert [name for name in dict.fromkeys(names) if name in JOURNEY] == JOURNEY
    assert len({row[1] for row in rows}) == 1
    purchase = rows[names.index("purchase")]
    assert float(purchase[2]) > 0
    assert purchase[3:] == ["INR", "Chrome", "Linux", "False"]


def _buy(page: Page, url: str) -> None:
    """View a product, put it into the bag, check out, have one payment fail, pay."""
    page.goto(f"{url}/demo/")
    page.locator(".shelf a").first.click()
    page.get_by_role("button", name="Add to bag").click()
    expect(page.get_by_role("status")).to_have_text("In your bag.")
    page.get_by_role("link", name="Bag").click()
    page.get_by_role("link", name="Check out").click()
    page.get_by_label("Express").check()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_label("Let this payment fail").check()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_contain_text("failed")
    page.get_by_label("Let this payment fail").uncheck()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
