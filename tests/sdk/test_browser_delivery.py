"""Every event arrives once, whatever the network, the server and the shopper do; faults injected, in Chromium."""

import json
import threading

from playwright.sync_api import BrowserContext, Page

from tests.sdk.shop import Answer, Server


def open_shop(page: Page, shop: Server, collector: Server, path: str = "/", settings: str = "{}") -> None:
    page.goto(shop.page(path, collector.snippet(settings)))


def wait_ready(page: Page) -> None:
    page.wait_for_function("!!funnelwatch.init", timeout=5_000)


def gaps(collector: Server) -> list[float]:
    times = [post.at for post in collector.posts]
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def test_events_wait_for_company_and_travel_together(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 300, autoPage: false}")
    wait_ready(page)
    page.evaluate("for (let i = 0; i < 5; i++) funnelwatch.track('few')")
    collector.wait_for("few", 5)
    assert len(collector.posts) == 1


def test_a_full_batch_does_not_wait(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 60000, flushAt: 20, autoPage: false}")
    wait_ready(page)
    page.evaluate("for (let i = 0; i < 20; i++) funnelwatch.track('many')")
    collector.wait_for("many", 20)
    assert len(collector.posts) == 1


def test_a_429_is_obeyed_to_the_second_and_nothing_is_lost(page: Page, shop: Server, collector: Server) -> None:
    collector.answers = [Answer(429, {"Retry-After": "2"})]
    open_shop(page, shop, collector)
    collector.wait(lambda: collector.posts)
    page.evaluate("for (let i = 0; i < 30; i++) funnelwatch.track('meanwhile')")
    page.evaluate("dispatchEvent(new Event('online'))")
    collector.wait_for("meanwhile", 30)
    assert 2.0 <= gaps(collector)[0] < 8
    assert len(collector.stored()) == 31


def test_a_pause_longer_than_timers_can_hold_keeps_the_page_idle(page: Page, shop: Server, collector: Server) -> None:
    collector.always = Answer(429, {"Retry-After": "999999999999"})
    page.add_init_script("window.timers = 0; const set = setTimeout; window.setTimeout = (...all) => { timers++; return set(...all) }")
    open_shop(page, shop, collector)
    collector.wait(lambda: collector.posts)
    page.wait_for_timeout(500)
    assert len(collector.posts) == 1
    assert page.evaluate("timers") < 10


def test_a_server_error_is_retried_with_a_growing_pause_and_the_same_ids(page: Page, shop: Server, collector: Server) -> None:
    collector.answers = [Answer(500), Answer(503)]
    open_shop(page, shop, collector)
    collector.wait_views()
    first, second, third = collector.posts
    assert first.messages == second.messages == third.messages
    assert first.body["sentAt"] < second.body["sentAt"] < third.body["sentAt"]
    assert 0.5 <= gaps(collector)[0] < 5
    assert 1.0 <= gaps(collector)[1] < 6


def test_a_reset_after_the_server_stored_the_batch_counts_once(page: Page, shop: Server, collector: Server) -> None:
    collector.answers = [Answer(200, reset=True)]
    open_shop(page, shop, collector)
    collector.wait(lambda: len(collector.posts) >= 2)
    assert len(collector.accepted) == 2
    assert len(collector.stored()) == 1


def test_a_refusal_is_final_and_does_not_hold_up_what_follows(page: Page, shop: Server, collector: Server) -> None:
    collector.answers = [Answer(400)]
    open_shop(page, shop, collector)
    collector.wait(lambda: collector.posts)
    page.evaluate("funnelwatch.track('next')")
    collector.wait_for("next")
    assert len(collector.posts) == 2
    assert [message["type"] for message in collector.stored()] == ["track"]


def test_a_server_that_never_answers_is_given_up_on_and_asked_again(page: Page, shop: Server, collector: Server) -> None:
    never = threading.Event()
    collector.answers = [Answer(hold=never)]
    page.add_init_script("const limit = AbortSignal.timeout; AbortSignal.timeout = (ms) => limit.call(AbortSignal, ms / 30)")
    open_shop(page, shop, collector)
    collector.wait(lambda: len(collector.posts) >= 2)
    never.set()
    assert collector.posts[0].messages == collector.posts[1].messages


def test_what_waits_goes_out_when_the_page_is_left(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 60000}")
    wait_ready(page)
    page.evaluate("funnelwatch.add_to_cart({})")
    page.goto("about:blank")
    collector.wait_for("add_to_cart")
    assert len(collector.wait_views()) == 1


def test_what_waits_goes_out_when_the_tab_is_hidden_and_so_does_what_comes_after(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 60000}")
    wait_ready(page)
    page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', {value: true, configurable: true});
      document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
    }""")
    collector.wait_views()
    page.evaluate("funnelwatch.track('behind')")
    collector.wait_for("behind")
    assert len(collector.accepted) == 2


def test_more_than_the_beacon_quota_is_split_and_the_next_page_sends_the_rest(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 60000, flushAt: 1000}")
    wait_ready(page)
    page.evaluate("for (let i = 0; i < 20; i++) funnelwatch.track('big', {text: 'x'.repeat(6000)})")
    page.goto("about:blank")
    collector.wait(lambda: len(collector.posts) >= 2)
    page.wait_for_timeout(300)
    left = [len(post.raw) for post in collector.posts]
    assert sum(left) <= 65_536, "browsers refuse more than 64 KiB in flight"
    assert 7 <= len(collector.named("big")) < 20
    page.goto(shop.page("/next", collector.snippet()))
    collector.wait_for("big", 20)
    assert all(len(post.raw) < 65_536 for post in collector.posts)


def test_a_browser_without_keepalive_leaves_by_beacon(page: Page, shop: Server, collector: Server) -> None:
    page.add_init_script("delete Request.prototype.keepalive; const f = fetch; window.fetch = (u, o) => f(u, {...o, keepalive: false})")
    open_shop(page, shop, collector, settings="{flushInterval: 60000}")
    wait_ready(page)
    page.evaluate("funnelwatch.add_to_cart({})")
    page.goto("about:blank")
    collector.wait_for("add_to_cart")
    assert collector.preflights == 0


def test_offline_events_survive_the_page_and_go_out_when_the_network_is_back(
    context: BrowserContext, page: Page, shop: Server, collector: Server
) -> None:
    open_shop(page, shop, collector)
    collector.wait_views()
    context.set_offline(True)
    page.evaluate("funnelwatch.begin_checkout({})")
    page.wait_for_timeout(200)
    assert collector.named("begin_checkout") == []
    context.set_offline(False)
    collector.wait_for("begin_checkout")
    context.set_offline(True)
    page.evaluate("funnelwatch.add_payment_info({})")
    page.goto("about:blank")
    context.set_offline(False)
    open_shop(page, shop, collector)
    collector.wait_for("add_payment_info")
    stored = page.wait_for_function("localStorage['fw.queue'] == '[]'")
    assert stored


def test_the_backlog_of_a_server_that_is_away_is_capped_and_the_oldest_gives_way(page: Page, shop: Server, collector: Server) -> None:
    collector.always = Answer(503)
    open_shop(page, shop, collector, settings="{flushAt: 1000}")
    collector.wait(lambda: collector.posts)
    page.evaluate("for (let i = 0; i < 600; i++) funnelwatch.track('t' + i)")
    page.goto("about:blank")
    page.goto(shop.page("/quiet", "quiet"))
    kept = json.loads(page.evaluate("localStorage['fw.queue']"))
    assert sum(entry[2] for entry in kept) <= 262_144
    assert len(page.evaluate("localStorage['fw.queue']")) < 600_000
    names = [json.loads(entry[1]).get("event") for entry in kept]
    assert names[-1] == "t599"
    assert "t0" not in names
    collector.always = Answer()
    open_shop(page, shop, collector)
    collector.wait_for("t599")
    assert len(collector.stored()) >= len(kept)


def test_an_ad_blocker_costs_neither_the_shop_nor_the_events(page: Page, shop: Server, collector: Server) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/v1/" in request.url else None)
    page.route("**/v1/batch", lambda route: route.abort("blockedbyclient"))
    open_shop(page, shop, collector)
    wait_ready(page)
    page.evaluate("for (let i = 0; i < 100; i++) funnelwatch.track('blocked')")
    page.wait_for_timeout(1_500)
    assert 1 <= len(requests) <= 3, "it backs off"
    page.unroute("**/v1/batch")
    collector.wait_for("blocked", 100)


def test_an_ad_blocked_sdk_leaves_a_shop_whose_calls_do_nothing(page: Page, shop: Server, collector: Server) -> None:
    page.route("**/js/*", lambda route: route.abort("blockedbyclient"))
    open_shop(page, shop, collector)
    page.evaluate("funnelwatch.purchase({transaction_id: '1'}); funnelwatch.flush()")
    assert collector.posts == []


def test_two_tabs_do_not_lose_each_other_s_backlog(context: BrowserContext, page: Page, shop: Server, collector: Server) -> None:
    collector.always = Answer(503)
    open_shop(page, shop, collector)
    other = context.new_page()
    other.goto(shop.page("/other", collector.snippet()))
    for tab, name in ((page, "one"), (other, "two")):
        wait_ready(tab)
        tab.evaluate("name => funnelwatch.track(name)", name)
        tab.goto("about:blank")
    collector.always = Answer()
    open_shop(page, shop, collector, "/third")
    collector.wait_for("one")
    collector.wait_for("two")


def test_flush_sends_at_once(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{flushInterval: 60000}")
    wait_ready(page)
    page.evaluate("funnelwatch.purchase({transaction_id: '1'}); funnelwatch.flush()")
    collector.wait_for("purchase")


def test_flush_while_a_request_is_on_its_way_sends_the_rest_right_after_it(page: Page, shop: Server, collector: Server) -> None:
    answered = threading.Event()
    collector.answers = [Answer(hold=answered)]
    open_shop(page, shop, collector, settings="{flushInterval: 60000}")
    wait_ready(page)
    page.evaluate("funnelwatch.flush()")
    collector.wait(lambda: collector.posts)
    page.evaluate("funnelwatch.purchase({transaction_id: '1'}); funnelwatch.flush()")
    answered.set()
    collector.wait_for("purchase")
