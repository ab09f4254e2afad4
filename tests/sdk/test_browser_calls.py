"""Calls a shop makes, and the messages they become; in Chromium, through the snippet and the loader."""

import json
import re
from typing import Any

import jsonschema
from playwright.sync_api import BrowserContext, Page

from tests.sdk.shop import DIST, KEY, SDK, Message, Server

CONTRACT = SDK.parent / "contract"
EXAMPLES = {path.stem: json.loads(path.read_text())["message"] for path in sorted((CONTRACT / "examples").glob("*.json"))}
COMMERCE = [
    "view_item_list", "view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "add_shipping_info",
    "add_payment_info", "purchase", "refund", "search", "login", "sign_up", "payment_failed", "out_of_stock", "coupon_rejected",
]  # fmt: skip


def open_shop(page: Page, shop: Server, collector: Server, path: str = "/", settings: str = "{}", html: str = "") -> None:
    shop.page(path.partition("?")[0].partition("#")[0], f"<title>Shop</title>{collector.snippet(settings)}{html}")
    page.goto(shop.origin + path)


def fw(page: Page, call: str, *args: Any) -> None:
    page.evaluate(f"(args) => funnelwatch.{call}(...args)", list(args))


def test_commerce_calls_send_the_contract_s_messages(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    for event in COMMERCE:
        fw(page, event, EXAMPLES[event]["properties"])
    collector.wait_for(COMMERCE[-1])
    sent = {message["event"]: message["properties"] for message in collector.stored() if message["type"] == "track"}
    assert sent == {event: EXAMPLES[event]["properties"] for event in COMMERCE}


def test_everything_a_visit_sends_fits_the_contract_s_schema(page: Page, shop: Server, collector: Server) -> None:
    schema = json.loads((CONTRACT / "batch.schema.json").read_text())
    settings = '{consent: "granted", appVersion: "2026.3.1", test: true}'
    open_shop(page, shop, collector, "/?utm_source=ig&utm_medium=social&utm_campaign=ig_sale", settings)
    fw(page, "experiment", "checkout_button", "B")
    for event in COMMERCE:
        fw(page, event, EXAMPLES[event]["properties"])
    fw(page, "track", "size_guide_opened", {"size": "M"})
    fw(page, "identify", "customer-881", {"plan": "loyalty"})
    collector.wait(lambda: any(message["type"] == "identify" for message in collector.stored()))
    for post in collector.posts:
        jsonschema.validate(post.body, schema)
        assert post.body["writeKey"] == KEY
    assert len(collector.stored()) == len(COMMERCE) + 3


def test_a_delivery_needs_no_preflight(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    collector.wait_views()
    assert collector.preflights == 0
    assert collector.posts[0].headers["Content-Type"].startswith("text/plain")


def test_calls_made_before_the_sdk_is_there_keep_their_time_and_order(page: Page, shop: Server, collector: Server) -> None:
    calls = "<script>window.called = Date.now(); funnelwatch.view_item({}); funnelwatch.add_to_cart({});</script>"
    page.route("**/sdk/*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    open_shop(page, shop, collector, html=calls)
    message = collector.wait_for("add_to_cart")[0]
    called = page.evaluate("new Date(called).toISOString()")
    assert message["timestamp"][:22] == called[:22]
    assert [each.get("event") for each in collector.stored() if each["type"] == "track"] == ["view_item", "add_to_cart"]


def test_a_reference_to_the_stub_stays_good(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, html="<script>const early = funnelwatch; const { login } = funnelwatch;</script>")
    collector.wait_views()
    page.evaluate("early.sign_up({method: 'email'}); login({method: 'email'})")
    collector.wait_for("sign_up")
    collector.wait_for("login")


def test_the_snippet_pasted_twice_counts_once(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, html=collector.snippet())
    collector.wait_views()
    page.wait_for_timeout(300)
    assert len(collector.stored()) == 1


def test_the_loader_alone_in_a_script_tag_is_enough(page: Page, shop: Server, collector: Server) -> None:
    page.goto(shop.page("/", f'<script async src="{collector.origin}/js/{KEY}.js"></script>'))
    collector.wait_views()
    fw(page, "purchase", {"transaction_id": "1"})
    collector.wait_for("purchase")


def test_the_sdk_file_alone_starts_with_init(page: Page, shop: Server, collector: Server) -> None:
    file = json.loads((DIST / "manifest.json").read_text())["file"]
    page.goto(shop.page("/", f'<script src="{collector.origin}/sdk/{file}"></script>'))
    page.evaluate("funnelwatch.view_item({})")
    page.evaluate("settings => funnelwatch.init(settings)", {"key": KEY, "host": collector.origin, "flushInterval": 50, "addons": []})
    collector.wait_for("view_item")


def test_the_es_module_is_the_same_sdk_with_its_add_ons_as_chunks(page: Page, shop: Server, collector: Server) -> None:
    settings = json.dumps({"key": KEY, "host": collector.origin, "flushInterval": 50, "addons": ["errors"]})
    module = f"""<script type="module">
      import {{ funnelwatch }} from "{collector.origin}/sdk/esm/index.js";
      funnelwatch.init({settings}); window.fw = funnelwatch;
    </script>"""
    page.goto(shop.page("/", module))
    page.wait_for_function("window.fw")
    page.evaluate("fw.purchase({transaction_id: '1'}); fw.exception(new Error('caught'))")
    collector.wait_for("purchase")
    assert collector.wait_for("exception")[0]["properties"]["message"] == "caught"


def test_init_without_a_key_says_so_and_sends_nothing(page: Page, shop: Server, collector: Server) -> None:
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    file = json.loads((DIST / "manifest.json").read_text())["file"]
    page.goto(shop.page("/", f'<script src="{collector.origin}/sdk/{file}"></script>'))
    page.evaluate("funnelwatch.init({}); funnelwatch.purchase({})")
    assert said == ["funnelwatch: init needs key and host"]
    assert collector.posts == []


def test_a_single_page_shop_s_routes_are_page_views(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    page.evaluate("history.pushState({}, '', '/shirts'); history.replaceState({}, '', '/shirts?colour=red')")
    page.evaluate("history.pushState({}, '', '/p/1?size=m'); history.back()")
    views = collector.wait_views(4)
    paths = [view["context"]["page"]["path"] for view in views]
    assert paths == ["/", "/shirts", "/p/1", "/shirts"]
    assert views[1]["context"]["page"]["referrer"] == f"{shop.origin}/"


def test_a_hash_router_s_routes_are_page_views(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    page.evaluate("location.hash = '#/checkout'")
    assert [view["context"]["page"]["path"] for view in collector.wait_views(2)] == ["/", "/#/checkout"]
    page.evaluate("location.hash = '#reviews'")
    fw(page, "track", "end")
    collector.wait_for("end")
    assert len(collector.wait_views(3)) == 3  # back on "/": the anchor itself is no route


def test_a_page_brought_back_from_memory_is_viewed_again(context: BrowserContext, page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    collector.wait_views()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    collector.wait_views(2)


def test_page_views_can_be_left_to_the_shop(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, settings="{autoPage: false}")
    fw(page, "page", {"section": "sale"})
    assert collector.wait_views()[0]["properties"] == {"section": "sale"}
    assert len(collector.stored()) == 1


def test_identify_names_the_visitor_from_then_on_and_reset_forgets(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    fw(page, "track", "before")
    fw(page, "identify", "customer-881", {"plan": "loyalty"})
    fw(page, "track", "during")
    page.reload()
    fw(page, "track", "later")
    fw(page, "reset")
    fw(page, "track", "after")
    collector.wait_for("after")
    before, during, later, after = (collector.named(name)[0] for name in ("before", "during", "later", "after"))
    identify = next(message for message in collector.stored() if message["type"] == "identify")
    assert identify["traits"] == {"plan": "loyalty"}
    assert [message.get("userId") for message in (before, identify, during, later, after)] == [
        None, "customer-881", "customer-881", "customer-881", None,
    ]  # fmt: skip
    assert before["anonymousId"] == later["anonymousId"] != after["anonymousId"]
    assert before["context"]["sessionId"] == later["context"]["sessionId"] != after["context"]["sessionId"]


def test_variants_stay_for_the_session(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    fw(page, "experiment", "checkout_button", "B")
    fw(page, "track", "here")
    page.reload()
    fw(page, "experiment", "banner", "A")
    fw(page, "track", "there")
    assert collector.wait_for("here")[0]["context"]["experiments"] == {"checkout_button": "B"}
    assert collector.wait_for("there")[0]["context"]["experiments"] == {"checkout_button": "B", "banner": "A"}


def context_of(message: Message) -> dict[str, Any]:
    return message["context"]


def test_a_campaign_is_kept_for_later_pages_without_its_address(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "/sale?utm_source=ig&utm_medium=paid&utm_campaign=ig_sale&email=a@b.example#top")
    landing = context_of(collector.wait_views()[0])
    assert landing["campaign"] == {"source": "ig", "medium": "paid", "name": "ig_sale"}
    assert landing["page"]["url"] == f"{shop.origin}/sale"
    open_shop(page, shop, collector, "/checkout")
    assert context_of(collector.wait_views(2)[1])["campaign"] == landing["campaign"]


def test_a_click_id_is_kept_by_its_name_alone(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "/?gclid=EAIaIQobChMI&variant=3")
    page.reload()
    for view in collector.wait_views(2):
        assert context_of(view)["page"]["search"] == "?gclid=1"
        assert "campaign" not in context_of(view)


def test_a_later_campaign_replaces_an_earlier_one_and_a_direct_visit_does_not(page: Page, shop: Server, collector: Server) -> None:
    for number, path in enumerate(("/?utm_source=ig&utm_campaign=a", "/", "/?utm_source=mail&utm_campaign=b", "/"), 1):
        open_shop(page, shop, collector, path)
        collector.wait_views(number)
    names = [context_of(view)["campaign"]["name"] for view in collector.wait_views(4)]
    assert names == ["a", "a", "b", "b"]


def test_asked_for_query_parameters_stay_in_the_address(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "/p?variant=3&token=secret", settings='{keepQuery: ["variant"]}')
    assert context_of(collector.wait_views()[0])["page"]["url"] == f"{shop.origin}/p?variant=3"


def test_a_session_ends_after_thirty_idle_minutes_and_the_campaign_outlives_it(page: Page, shop: Server, collector: Server) -> None:
    page.clock.install()
    open_shop(page, shop, collector, "/?utm_source=ig&utm_campaign=a")
    page.clock.run_for(1_000)
    fw(page, "track", "one")
    page.clock.fast_forward(29 * 60_000)
    fw(page, "track", "two")
    page.clock.fast_forward(31 * 60_000)
    fw(page, "track", "three")
    page.clock.run_for(1_000)
    collector.wait_for("three")
    one, two, three = (context_of(collector.named(name)[0]) for name in ("one", "two", "three"))
    assert one["sessionId"] == two["sessionId"] != three["sessionId"]
    assert three["campaign"]["name"] == "a"
    page.clock.fast_forward(31 * 24 * 3_600_000)
    page.goto(shop.page("/late", collector.snippet()))
    page.clock.run_for(1_000)
    late = collector.wait(lambda: [each for each in collector.stored() if context_of(each)["page"]["path"] == "/late"])
    assert "campaign" not in context_of(late[0])


def test_tabs_share_visitor_and_session(context: BrowserContext, page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    first = collector.wait_views()[0]
    other = context.new_page()
    open_shop(other, shop, collector)
    second = collector.wait_views(2)[1]
    assert first["anonymousId"] == second["anonymousId"]
    assert first["context"]["sessionId"] == second["context"]["sessionId"]


def test_cookies_carry_the_visit_across_subdomains(page: Page, shop: Server, collector: Server) -> None:
    # Loopback names: Chromium resolves *.localhost to 127.0.0.1 itself.
    port = shop.origin.rpartition(":")[2]
    html = collector.snippet('{cookieDomain: "shop.localhost"}')
    shop.page("/", html)
    for host in ("www.shop.localhost", "pay.shop.localhost"):
        page.goto(f"http://{host}:{port}/")
    first, second = collector.wait_views(2)
    assert first["anonymousId"] == second["anonymousId"]
    assert first["context"]["sessionId"] == second["context"]["sessionId"]


def test_every_id_is_unique_and_every_time_is_utc(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    page.evaluate("for (let i = 0; i < 50; i++) funnelwatch.track('t' + i)")
    collector.wait_for("t49")
    assert len(collector.accepted) == len(collector.stored()) == 51
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["timestamp"]) for each in collector.stored())


def test_a_page_rendered_ahead_is_no_visit_until_it_is_shown(page: Page, shop: Server, collector: Server) -> None:
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true, configurable: true})")
    open_shop(page, shop, collector, html="<script>funnelwatch.view_item({})</script>")
    page.wait_for_timeout(400)
    assert collector.posts == []
    page.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    collector.wait_for("view_item")
    collector.wait_views()


def test_nonsense_never_reaches_the_shop_as_an_exception(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector)
    page.evaluate("""() => {
      const loop = {}; loop.self = loop;
      funnelwatch.purchase(loop); funnelwatch.track('big', {n: 10n}); funnelwatch.track(); funnelwatch.use(() => { throw Error('x') });
      funnelwatch.track('huge', {text: 'x'.repeat(40000)}); funnelwatch.identify(); funnelwatch.consent('granted');
    }""")
    fw(page, "track", "still_alive")
    collector.wait_for("still_alive")
    assert collector.named("huge") == []
