"""The story of the product, end to end: SDK-shaped events over HTTP in; one incident, one message, one page out. And the quiet twin."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests import story
from tests.platform import processes

#: The fault begins in the seventh minute; by the sixteenth it has been found, told and worked out.
MINUTES = 16
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.mark.parametrize("faulty", [True, False], ids=["faulty", "quiet"])
def test_a_broken_payment_becomes_one_incident_one_message_and_one_page_and_the_quiet_twin_opens_nothing(
    shop_history: tuple[Path, dict[str, Any]], tmp_path: Path, faulty: bool
) -> None:
    kept, shop = shop_history
    data, clock_file = tmp_path / "data", tmp_path / "clock"
    story.copy(kept, data)
    story.set_clock(clock_file, story.HISTORY_UNTIL)
    with story.captured() as capture, processes.up(data, **story.environment(clock_file, capture)) as up:
        evening = story.Evening(up.url, shop["write_key"], shop["api_token"], clock_file, up.log.read_text)
        evening.send(faulty, MINUTES)
        incidents = evening.incidents()
        if faulty:
            check_the_page(up.url, shop, story.check_the_incident(incidents, capture))
        else:
            assert incidents == []
            assert capture.requests == []


def check_the_page(url: str, shop: dict[str, Any], incident: dict[str, Any]) -> None:
    """Sign in as the admin in Chromium and read the incident's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        page = browser.new_page()
        page.goto(f"{url}/login/")
        page.fill("input[name=username]", shop["admin_email"])
        page.fill("input[name=password]", shop["admin_password"])
        page.click("button[type=submit]")
        page.goto(f"{url}/incidents/{incident['id']}/")
        text = page.inner_text("main")
        assert "ig_sale" in page.inner_text("h1")
        assert "CDN config 4f2c" in text
        assert "₹" in text
        browser.close()
