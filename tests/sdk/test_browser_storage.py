"""Another script, or another version, wrote over what the SDK keeps: what does not fit is dropped, and everything goes on."""

import json

import pytest
from playwright.sync_api import Page

from tests.sdk.shop import Server

NOT_A_QUEUE = ["{}", "[1]", '"x"', "7", "true", "null", "no json", "[null]", "[[]]", '[["id", {}, 9]]', '[["id", "{}", "9"]]', '[["id", "{}", 99999]]']
NOT_A_VISIT = ["{}", "[1]", '"x"', "7", "true", "no json", '{"anonymousId": 1, "sessionId": 2, "last": 3, "tags": {}, "since": 4}']
NOT_A_DECISION = ["{}", "[1]", '"x"', "7", "true", "no json", '"GRANTED"']


def open_shop(page: Page, shop: Server, collector: Server, stored: dict[str, str], settings: str = "{}") -> None:
    """A visitor comes with this in their storage."""
    page.goto(shop.page("/quiet", "quiet"))
    page.evaluate("stored => Object.assign(localStorage, stored)", stored)
    page.goto(shop.page("/", collector.snippet(settings)))
    page.wait_for_function("!!funnelwatch.init", timeout=5_000)


@pytest.mark.parametrize("value", NOT_A_QUEUE)
def test_a_spoiled_backlog_stops_no_event_on_this_page_or_the_next(page: Page, shop: Server, collector: Server, value: str) -> None:
    open_shop(page, shop, collector, {"fw.queue": value})
    page.evaluate("funnelwatch.track('first')")
    collector.wait_for("first")
    page.reload()
    page.evaluate("funnelwatch.track('second')")
    collector.wait_for("second")
    collector.wait_views(2)


def test_what_is_whole_in_a_spoiled_backlog_is_sent(page: Page, shop: Server, collector: Server) -> None:
    left = json.dumps({"messageId": "1", "type": "track", "event": "left", "timestamp": "2026-03-02T10:00:00.000Z"})
    queue = [5, ["0", "x" * 99, 99_999], ["1", left, len(left)], {}, "x{9"]
    open_shop(page, shop, collector, {"fw.queue": json.dumps(queue)})
    collector.wait_for("left")
    collector.wait_views()


@pytest.mark.parametrize("value", NOT_A_VISIT)
def test_a_spoiled_visit_costs_no_event_and_begins_anew(page: Page, shop: Server, collector: Server, value: str) -> None:
    open_shop(page, shop, collector, {"fw.visit": value})
    page.evaluate("funnelwatch.track('first')")
    view, first = collector.wait_views()[0], collector.wait_for("first")[0]
    assert isinstance(view["anonymousId"], str)
    assert len(view["anonymousId"]) > 8
    assert (first["anonymousId"], first["context"]["sessionId"]) == (view["anonymousId"], view["context"]["sessionId"])


@pytest.mark.parametrize("value", NOT_A_DECISION)
def test_a_spoiled_decision_counts_as_none(page: Page, shop: Server, collector: Server, value: str) -> None:
    open_shop(page, shop, collector, {"fw.consent": value}, "{consent: 'pending'}")
    page.evaluate("funnelwatch.consent('granted')")
    collector.wait_views()
    open_shop(page, shop, collector, {"fw.consent": value})
    collector.wait_views(2)


def test_a_spoiled_step_of_the_checkout_begins_a_new_one(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, {"fw.step": "7", "fw.scripts": "{}"}, "{addons: ['checkout']}")
    page.evaluate("funnelwatch.begin_checkout({})")
    page.wait_for_function("JSON.parse(localStorage['fw.step']).event == 'begin_checkout'")
    page.evaluate("funnelwatch.add_payment_info({})")
    assert collector.wait_for("web_vital")[0]["properties"]["step"] == "begin_checkout->add_payment_info"
