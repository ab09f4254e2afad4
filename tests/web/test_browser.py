"""The pages in Chromium: under their own content policy, by keyboard, on a phone, in both themes, without script."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.events import Event
from funnelwatch.incidents.models import Incident
from funnelwatch.store.queries import events
from tests.web.conftest import NOW

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
PAGES = ("/p/loomlane/", "/p/loomlane/incidents/", "/p/loomlane/funnel/", "/p/loomlane/changes/", "/p/loomlane/live/", "/p/loomlane/health/", "/p/loomlane/settings/", "/p/loomlane/settings/funnels/storefront/")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread, in which Django would refuse every query.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def server_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The server answers in threads of its own, so it reads the time from a file."""
    path = tmp_path / "clock"
    path.write_text(NOW.isoformat())
    monkeypatch.setenv(clock.CLOCK_FILE_ENV, str(path))


@pytest.fixture
def open_page(browser: Browser, live_server: Any, server_clock: None, transactional_db: None, alice: Client, incident: Incident) -> Iterator[Callable[..., Page]]:
    """Opens an address as Alice; whatever the browser complains of is collected in `page.complaints`."""
    contexts: list[BrowserContext] = []

    def go(path: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        cookie = alice.cookies[django_settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.complaints = []  # type: ignore[attr-defined]
        page.on("console", lambda message: page.complaints.append(message.text) if message.type in ("error", "warning") else None)  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
        page.goto(live_server.url + path)
        return page

    yield go
    for context in contexts:
        context.close()


def sideways(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_no_page_scrolls_sideways_on_a_phone_or_breaks_its_policy(open_page: Callable[..., Page], incident: Incident) -> None:
    at = int(NOW.timestamp()) * 1000 - 60_000
    order = Event(project_id=incident.project_id, message_id="o", name="purchase", ts=at, received_at=at, channel="server", order_id="o", source="newsletter-of-the-autumn-sale")
    events.insert(pipeline.runtime().client, [order], f"order-{incident.project_id}")
    page = open_page("/p/loomlane/", viewport={"width": 390, "height": 844})
    origin = page.url.split("/p/")[0]
    for path in (*PAGES, f"/incidents/{incident.pk}/"):
        page.goto(origin + path)
        page.wait_for_load_state("networkidle" if "live" not in path else "load")
        assert sideways(page) <= 0, path
        assert page.complaints == [], path  # type: ignore[attr-defined]
        assert page.locator("h1").count() == 1, path
        for landmark in ("main", "header.top", "nav.tabbar"):
            assert page.locator(landmark).count() == 1, f"{path} {landmark}"
        unnamed = page.evaluate("[...document.querySelectorAll('button,a[href],input:not([type=hidden]),select,textarea')].filter(e => e.checkVisibility() && !(e.innerText || e.getAttribute('aria-label') || e.title || e.labels?.length || e.placeholder || e.value)).length")
        assert unnamed == 0, path
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), path


def test_the_preview_of_a_funnel_follows_the_form(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/loomlane/settings/funnels/storefront/")
    page.wait_for_selector("#preview:has-text('No events to count yet')")
    page.evaluate("window.sameDocument = true")
    page.fill("[name=window_minutes]", "0")
    page.keyboard.press("Tab")
    page.wait_for_selector("#preview:has-text('The window is 1 to 10,080 minutes')")
    assert page.evaluate("window.sameDocument") is True
    page.fill("[name=window_minutes]", "30")
    page.keyboard.press("Enter")  # a preview, not the first row's button
    page.wait_for_selector("#preview:has-text('No events to count yet')")
    assert page.input_value("[name=window_minutes]") == "30"
    assert page.locator(".edit__row").count() == 7
    assert page.complaints == []  # type: ignore[attr-defined]


def test_the_chart_is_drawn_and_switches_to_everyone_else(open_page: Callable[..., Page], incident: Incident) -> None:
    page = open_page(f"/incidents/{incident.pk}/", viewport={"width": 1440, "height": 900})
    page.wait_for_selector("#mainchart canvas")
    page.wait_for_selector("#mainchart .flagtag")
    assert page.inner_text("#mainchart .flagtag").startswith("Change 14:32")
    assert page.inner_text("#mainchart .endtag >> nth=0").replace("\u202f", " ") == "50.9 %"
    assert page.locator("#mainchart .lane").count() == 2
    page.click("text=Everyone else >> nth=0")
    assert page.locator("#mainchart .flagtag").count() == 0
    assert page.inner_text("#mainchart .endtag >> nth=0").replace("\u202f", " ") == "60.3 %"
    assert page.complaints == []  # type: ignore[attr-defined]


def test_acknowledging_by_keyboard_changes_the_page_in_place(open_page: Callable[..., Page], incident: Incident) -> None:
    page = open_page(f"/incidents/{incident.pk}/")
    page.wait_for_selector("#mainchart canvas")
    page.fill("textarea[name=text]", "half a note")
    page.evaluate("document.activeElement.blur(); window.sameDocument = true")
    page.keyboard.press("a")
    page.wait_for_selector(".headline .status.is-ack")
    assert page.inner_text(".toast") == "Acknowledged."
    assert page.evaluate("window.sameDocument") is True
    assert page.input_value("textarea[name=text]") == "half a note"
    assert page.locator("#mainchart canvas").count() == 1
    assert page.complaints == []  # type: ignore[attr-defined]
    incident.refresh_from_db()
    assert incident.status == "acknowledged"


def test_keys_open_the_palette_and_switch_the_theme(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/loomlane/incidents/", color_scheme="light")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("Control+k")
    page.keyboard.type("chang")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/loomlane/changes/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/p/loomlane/incidents/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_everything_can_be_read_without_script(open_page: Callable[..., Page], incident: Incident) -> None:
    page = open_page(f"/incidents/{incident.pk}/", java_script_enabled=False)
    assert page.locator("#mainchart svg.spark").is_visible()
    assert not page.locator("[data-theme-toggle]").is_visible()
    page.click("text=Acknowledge >> nth=0")
    assert "Acknowledged." in page.inner_text(".messages")


def test_a_day_typed_into_the_funnel_page_is_asked_for_once_it_is_whole(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/loomlane/funnel/")
    page.evaluate("window.sameDocument = true")
    page.focus("[name=until]")
    for key in "0130":
        page.keyboard.press(key)
    for key in "202":
        page.keyboard.press(key)
    assert page.evaluate("window.sameDocument") is True
    with page.expect_navigation():
        page.keyboard.press("1")
    assert "until=2021-01-30" in page.url
    assert page.input_value("[name=until]") == "2021-01-30"
    assert page.complaints == []  # type: ignore[attr-defined]
