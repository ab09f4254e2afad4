"""Consent, what never leaves the page, and pages that forbid things: storage, inline scripts, tracking."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.sdk.shop import KEY, Server


def open_shop(page: Page, shop: Server, collector: Server, settings: str = "{}", path: str = "/") -> None:
    page.goto(shop.page(path, collector.snippet(settings)))
    page.wait_for_function("!!funnelwatch.init", timeout=5_000)


def storage(page: Page) -> dict[str, Any]:
    return page.evaluate("({...localStorage})")


def nothing_sent(page: Page, collector: Server) -> bool:
    page.wait_for_timeout(400)
    return collector.posts == []


def test_before_the_visitor_decides_events_wait_in_memory_and_nothing_is_stored(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, '{consent: "pending", addons: ["errors"]}')
    page.evaluate("funnelwatch.view_item({}); setTimeout(() => { throw new Error('shop: early') })")
    assert nothing_sent(page, collector)
    assert storage(page) == {}
    assert page.context.cookies() == []
    assert not any("errors" in path for path in collector.requested), "no add-on either"
    page.evaluate("funnelwatch.consent('granted')")
    view = collector.wait_for("view_item")[0]
    assert view["context"]["consent"] == "granted"
    assert collector.wait_for("exception")[0]["properties"]["message"] == "shop: early"
    assert {message["anonymousId"] for message in collector.stored()} == {view["anonymousId"]}
    collector.wait_views()


def test_what_waits_for_consent_is_gone_with_the_page(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, '{consent: "pending"}')
    page.evaluate("funnelwatch.view_item({})")
    page.goto("about:blank")
    open_shop(page, shop, collector, '{consent: "pending"}')
    page.evaluate("funnelwatch.consent('granted')")
    collector.wait_views()
    assert collector.named("view_item") == []


def test_a_decision_is_remembered_on_the_next_page(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, '{consent: "pending"}')
    page.evaluate("funnelwatch.consent('granted')")
    collector.wait_views()
    open_shop(page, shop, collector, '{consent: "pending"}')
    collector.wait_views(2)


def test_a_refusal_drops_what_waited_and_deletes_what_was_stored(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    collector.wait_views()
    page.evaluate("localStorage.setItem('theirs', '1'); funnelwatch.consent('pending'); funnelwatch.view_item({}); funnelwatch.consent('denied')")
    page.evaluate("funnelwatch.purchase({transaction_id: '1'}); funnelwatch.identify('customer-881')")
    assert storage(page) == {"theirs": "1", "fw.consent": '"denied"'}
    page.reload()
    page.wait_for_function("!!funnelwatch.init")
    page.evaluate("funnelwatch.purchase({transaction_id: '1'})")
    page.wait_for_timeout(400)
    assert len(collector.posts) == 1
    page.evaluate("funnelwatch.consent('granted'); funnelwatch.search({search_term: 'belt'})")
    collector.wait_for("search")
    assert collector.named("view_item") == collector.named("purchase") == []


def test_what_the_page_says_it_knows_beats_what_was_remembered(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, '{consent: "pending"}')
    page.evaluate("funnelwatch.consent('granted')")
    collector.wait_views()
    open_shop(page, shop, collector, '{consent: "denied"}')
    page.evaluate("funnelwatch.purchase({})")
    page.wait_for_timeout(400)
    assert len(collector.stored()) == 1


@pytest.mark.parametrize(
    ("signal", "setting"),
    [("globalPrivacyControl', {value: true", "honourGpc"), ("doNotTrack', {value: '1'", "honourDnt")],
)
def test_a_privacy_signal_is_a_refusal_where_the_project_says_so(
    signal: str, setting: str, context: BrowserContext, shop: Server, collector: Server
) -> None:
    context.add_init_script(f"Object.defineProperty(navigator, '{signal}}})")
    collector.settings = {setting: True}
    page = context.new_page()
    open_shop(page, shop, collector)
    page.evaluate("funnelwatch.purchase({})")
    assert nothing_sent(page, collector)
    collector.settings = {}
    open_shop(page, shop, collector)
    collector.wait_views()


def test_denied_properties_leave_at_no_depth(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, '{deny: ["email", "phone"]}')
    page.evaluate("funnelwatch.track('form', {email: 'a@b.example', step: 1, buyer: {phone: '1', name: 'A'}, list: [{email: 'x'}]})")
    assert collector.wait_for("form")[0]["properties"] == {"step": 1, "buyer": {"name": "A"}, "list": [{}]}


def test_the_shop_has_the_last_look_at_a_message(page: Page, shop: Server, collector: Server) -> None:
    change = """{beforeSend(message) {
      if (message.event == 'private') return null;
      message.context.page.title = '';
      return message;
    }}"""
    open_shop(page, shop, collector, change)
    page.evaluate("funnelwatch.track('private'); funnelwatch.track('public')")
    assert collector.wait_for("public")[0]["context"]["page"]["title"] == ""
    assert collector.named("private") == []


def test_with_storage_blocked_the_page_still_reports_as_one_visit(page: Page, shop: Server, collector: Server) -> None:
    shop.page("/inner", collector.snippet())
    # An opaque origin: localStorage throws and cookies are refused, as with all site data blocked.
    page.goto(shop.page("/", '<iframe sandbox="allow-scripts" src="/inner"></iframe>'))
    frame = page.frames[1]
    frame.wait_for_function("!!funnelwatch.init")
    assert frame.evaluate("(() => { try { localStorage; return 'open' } catch { return 'blocked' } })()") == "blocked"
    frame.evaluate("funnelwatch.experiment('banner', 'A'); funnelwatch.view_item({}); funnelwatch.add_to_cart({})")
    collector.wait_for("add_to_cart")
    messages = collector.stored()
    assert len(messages) == 3
    assert len({message["context"]["sessionId"] for message in messages}) == 1
    assert collector.named("add_to_cart")[0]["context"]["experiments"] == {"banner": "A"}


def test_full_storage_costs_nothing_but_memory_across_pages(page: Page, shop: Server, collector: Server) -> None:
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }")
    open_shop(page, shop, collector)
    page.evaluate("funnelwatch.view_item({}); funnelwatch.add_to_cart({})")
    collector.wait_for("add_to_cart")
    assert len({message["context"]["sessionId"] for message in collector.stored()}) == 1


@pytest.mark.parametrize("dynamic", ["", " 'strict-dynamic'"])
def test_a_strict_content_security_policy_is_kept(dynamic: str, page: Page, shop: Server, collector: Server) -> None:
    hosts = "" if dynamic else f" {collector.origin}"
    policy = f"default-src 'none'; base-uri 'none'; connect-src {collector.origin}; script-src 'nonce-r4nd0m'{dynamic}{hosts}"
    html = collector.snippet('{addons: ["errors", "vitals"]}').replace("<script>", '<script nonce="r4nd0m">')
    watch = """<script nonce="r4nd0m">
      window.violations = [];
      addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective + ' ' + event.blockedURI));
    </script>"""
    page.goto(shop.page("/", watch + html, {"Content-Security-Policy": policy}))
    page.wait_for_function("!!funnelwatch.init")
    page.evaluate("funnelwatch.purchase({transaction_id: '1'}); funnelwatch.exception(new Error('caught'))")
    collector.wait_for("purchase")
    collector.wait_for("exception")
    assert page.evaluate("violations") == []


def test_a_tampered_sdk_file_is_not_run(page: Page, shop: Server, collector: Server) -> None:
    page.route("**/sdk/funnelwatch-*.js", lambda route: route.fulfill(
        body="window.tampered = true", content_type="text/javascript", headers={"Access-Control-Allow-Origin": "*"},
    ))  # fmt: skip
    page.goto(shop.page("/", collector.snippet()))
    page.wait_for_timeout(500)
    assert page.evaluate("window.tampered") is None
    assert collector.posts == []


def test_a_write_key_is_all_the_secret_there_is(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    post = collector.wait(lambda: collector.posts)[0]
    assert post.path == "/v1/batch"
    assert "Cookie" not in post.headers
    assert "Authorization" not in post.headers
    assert post.body["writeKey"] == KEY
