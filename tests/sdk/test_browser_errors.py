"""What breaks in a shopper's page is reported once per fault, cheaply, and never changes how the shop behaves."""

from playwright.sync_api import Page

from tests.sdk.shop import Answer, Message, Server


def open_shop(page: Page, shop: Server, collector: Server, settings: str = "", html: str = "", head: str = "") -> None:
    page.goto(shop.page("/", f'{head}{collector.snippet("{addons: [`errors`], " + settings + "}")}{html}'))


def loaded(page: Page, collector: Server) -> None:
    """Waits until the add-on is in place, by a fault of its own kind."""
    page.wait_for_function("!!funnelwatch.init")
    page.evaluate("funnelwatch.exception(new Error('ready'))")
    collector.wait(lambda: any(each["properties"]["message"] == "ready" for each in collector.named("exception")))


def exceptions(collector: Server, message: str) -> list[Message]:
    return [each for each in collector.named("exception") if each["properties"]["message"] == message]


def test_an_exception_is_reported_with_type_place_and_stack(page: Page, shop: Server, collector: Server) -> None:
    shop.page("/app.js", "function pay() { throw new TypeError('shop: no token') }\nsetTimeout(pay, 50)")
    open_shop(page, shop, collector, html='<script src="/app.js?v=secret"></script>')
    found = collector.wait_for("exception")[0]["properties"]
    assert found["code"] == "TypeError"
    assert found["message"] == "shop: no token"
    assert found["mechanism"] == "error"
    assert (found["source"], found["line"]) == (f"{shop.origin}/app.js", 1)
    assert f"at pay ({shop.origin}/app.js:1:" in found["stack"]
    assert "secret" not in str(found)
    assert (found["suppressed"], found["sample_rate"]) == (0, 1)


def test_an_error_before_the_sdk_is_there_is_not_missed(page: Page, shop: Server, collector: Server) -> None:
    page.route("**/js/*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    open_shop(page, shop, collector, html="<script>throw new Error('shop: early')</script>")
    assert collector.wait_for("exception")[0]["properties"]["message"] == "shop: early"


def test_an_unhandled_rejection_is_reported(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    loaded(page, collector)
    page.evaluate("() => { setTimeout(() => { Promise.reject(new RangeError('shop: declined')); Promise.reject('shop: text') }) }")
    collector.wait(lambda: exceptions(collector, "shop: declined") and exceptions(collector, "shop: text"))
    declined, text = (exceptions(collector, name)[0]["properties"] for name in ("shop: declined", "shop: text"))
    assert (declined["code"], declined["mechanism"]) == ("RangeError", "unhandledrejection")
    assert text["code"] == "Error"


def test_failed_scripts_images_and_styles_are_reported_with_address_and_time(page: Page, shop: Server, collector: Server) -> None:
    html = f"""<script src="{collector.origin}/gone.js?token=1"></script><img src="/gone.png">
      <link rel="stylesheet" href="http://127.0.0.1:1/unreachable.css">"""
    open_shop(page, shop, collector, html=html)
    collector.wait_for("resource_error", 3)
    found = {each["properties"]["code"]: each["properties"] for each in collector.named("resource_error")}
    assert found["script"]["url"] == f"{collector.origin}/gone.js"
    assert found["img"]["url"] == f"{shop.origin}/gone.png"
    assert found["img"]["third_party"] is False
    assert found["link"]["host"] == "127.0.0.1"
    assert all(each["duration_ms"] >= 0 for each in found.values())


def test_a_failed_request_is_reported_with_its_status_and_the_shop_gets_its_answer(page: Page, shop: Server, collector: Server) -> None:
    shop.page("/api/pay", "declined", status=503)
    shop.page("/api/ok", "fine")
    open_shop(page, shop, collector)
    loaded(page, collector)
    answer = page.evaluate("""async () => {
      const reply = await fetch('/api/pay?card=4111', {method: 'post', body: '{}'});
      const request = new XMLHttpRequest(); request.open('GET', '/api/pay');
      const done = new Promise((resolve) => request.onload = () => resolve(request.status)); request.send();
      const fine = await fetch(new Request('/api/ok'));
      return [reply.status, await reply.text(), await done, await fine.text()];
    }""")
    assert answer == [503, "declined", 503, "fine"]
    collector.wait_for("http_error", 2)
    assert sorted(each["properties"]["method"] for each in collector.named("http_error")) == ["GET", "POST"]
    for each in collector.named("http_error"):
        found = each["properties"]
        assert (found["code"], found["status"], found["url"]) == ("503", 503, f"{shop.origin}/api/pay")
        assert found["duration_ms"] >= 0


def test_a_request_that_finds_no_server_is_a_network_failure_and_an_abort_is_none(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    loaded(page, collector)
    outcome = page.evaluate("""async () => {
      const stop = new AbortController(); stop.abort();
      const aborted = await fetch('/api/x', {signal: stop.signal}).catch((fault) => fault.name);
      const failed = await fetch('http://127.0.0.1:1/api').catch((fault) => fault.name);
      return [aborted, failed];
    }""")
    assert outcome == ["AbortError", "TypeError"]
    found = collector.wait_for("http_error")[0]["properties"]
    assert (found["code"], found["status"], found["url"]) == ("network", 0, "http://127.0.0.1:1/api")
    assert len(collector.named("http_error")) == 1


def test_a_slow_request_is_reported_as_slow(page: Page, shop: Server, collector: Server) -> None:
    shop.page("/api/slow", "ok")
    open_shop(page, shop, collector, "errors: {slowMs: 100}")
    loaded(page, collector)
    page.route("**/api/slow", lambda route: (page.wait_for_timeout(200), route.continue_()))
    page.evaluate("fetch('/api/slow').then((reply) => reply.text())")
    found = collector.wait_for("http_error")[0]["properties"]
    assert found["code"] == "slow"
    assert found["duration_ms"] >= 100


def test_only_listed_hosts_are_watched_and_never_our_own_server(page: Page, shop: Server, collector: Server) -> None:
    collector.answers = [Answer(500)]
    open_shop(page, shop, collector, "errors: {hosts: ['api.shop.example']}")
    page.route("https://*.api.shop.example/**", lambda route: route.fulfill(status=502, headers={"Access-Control-Allow-Origin": "*"}))
    loaded(page, collector)
    page.evaluate("fetch('/nothing-here')")
    page.evaluate("fetch('https://eu.api.shop.example/pay')")
    assert collector.wait_for("http_error")[0]["properties"]["host"] == "eu.api.shop.example"
    page.wait_for_timeout(200)
    assert len(collector.named("http_error")) == 1


def test_behind_the_shop_s_own_proxy_its_requests_are_watched_and_ours_are_not(page: Page, shop: Server) -> None:
    shop.answers = [Answer(500)]
    shop.page("/v2/pay", "declined", status=503)
    open_shop(page, shop, collector=shop)
    loaded(page, shop)
    page.evaluate("fetch('/v2/pay')")
    assert shop.wait_for("http_error")[0]["properties"]["url"] == f"{shop.origin}/v2/pay"
    assert shop.posts[0].messages[0]["type"] == "page", "the delivery that failed was a request like the shop's"
    assert len(shop.named("http_error")) == 1


def test_a_repeating_fault_is_limited_and_what_was_held_back_is_counted(page: Page, shop: Server, collector: Server) -> None:
    page.clock.install()
    open_shop(page, shop, collector)
    page.wait_for_function("!!funnelwatch.init")
    page.clock.run_for(1_000)
    page.evaluate("for (let i = 0; i < 40; i++) funnelwatch.exception(new Error('loop ' + i))")
    page.clock.run_for(1_000)
    collector.wait_for("exception", 5)
    page.clock.run_for(61_000)
    page.evaluate("funnelwatch.exception(new Error('loop 99'))")
    page.clock.run_for(1_000)
    sent = collector.wait_for("exception", 6)
    assert [each["properties"]["suppressed"] for each in sent] == [0, 0, 0, 0, 0, 35]
    assert len({each["properties"]["fingerprint"] for each in sent}) == 1


def test_different_faults_have_different_fingerprints_and_the_page_has_a_ceiling(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    page.wait_for_function("!!funnelwatch.init")
    page.evaluate("""() => {
      const word = (n) => String.fromCharCode(97 + n % 26, 97 + n / 26 % 26);
      for (let i = 0; i < 100; i++) funnelwatch.exception(new Error('fault ' + word(i)));
    }""")
    collector.wait_for("exception", 50)
    page.wait_for_timeout(300)
    prints = {each["properties"]["fingerprint"] for each in collector.named("exception")}
    assert len(prints) == len(collector.named("exception")) <= 60


def test_a_session_outside_the_sample_reports_no_error(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "errors: {sampleRate: 0}", html="<script>funnelwatch.exception(new Error('unseen'))</script>")
    page.wait_for_function("!!funnelwatch.init")
    page.wait_for_timeout(300)
    page.evaluate("funnelwatch.track('end')")
    collector.wait_for("end")
    assert collector.named("exception") == []


def test_noise_of_extensions_and_of_the_browser_stays_out(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    loaded(page, collector)
    page.evaluate("""() => {
      dispatchEvent(new ErrorEvent('error', {message: 'ResizeObserver loop completed with undelivered notifications.'}));
      dispatchEvent(new ErrorEvent('error', {message: 'x', filename: 'chrome-extension://abc/content.js'}));
      dispatchEvent(new ErrorEvent('error', {message: 'Script error.'}));
    }""")
    collector.wait(lambda: exceptions(collector, "Script error."))
    assert {each["properties"]["message"] for each in collector.named("exception")} == {"ready", "Script error."}


def test_the_console_still_shows_the_shop_s_error(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    loaded(page, collector)
    with page.expect_event("pageerror", timeout=5_000) as seen:
        page.evaluate("() => { setTimeout(() => { throw new TypeError('shop: visible') }) }")
    assert str(seen.value) == "shop: visible"
    collector.wait(lambda: exceptions(collector, "shop: visible"))
