"""Web vitals, checkout timings, the scripts beside a checkout, and clicks: add-ons that load when they are needed."""

import base64
import hashlib
import json

import jsonschema
from playwright.sync_api import Page

from tests.sdk.shop import SDK, Server

SCHEMA = json.loads((SDK.parent / "contract" / "batch.schema.json").read_text())


def open_shop(page: Page, shop: Server, collector: Server, addon: str, settings: str = "", html: str = "") -> None:
    page.goto(shop.page("/", f'<meta charset="utf-8">{collector.snippet(f"{{addons: [`{addon}`], {settings}}}")}{html}'))
    page.wait_for_function("!!funnelwatch.init")


def hide(page: Page) -> None:
    page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', {value: true, configurable: true});
      Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});
      document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
    }""")


def by_metric(collector: Server) -> dict[str, dict[str, object]]:
    return {each["properties"]["metric"]: each["properties"] for each in collector.named("web_vital")}


def test_core_web_vitals_are_measured_and_sent_when_the_page_is_left(page: Page, shop: Server, collector: Server) -> None:
    html = """<h1 style="font-size: 60px">Linen shirt</h1><button id="slow">Buy</button><p>text</p><script>
      document.getElementById('slow').onclick = () => { const end = performance.now() + 120; while (performance.now() < end); };
      setTimeout(() => document.querySelector('h1').style.marginTop = '300px', 300);
    </script>"""
    open_shop(page, shop, collector, "vitals", html=html)
    page.evaluate("funnelwatch.view_item({})")
    collector.wait(lambda: {"TTFB", "FCP"} <= set(by_metric(collector)))
    page.wait_for_timeout(500)
    page.click("#slow")
    page.wait_for_timeout(300)
    hide(page)
    collector.wait(lambda: {"LCP", "CLS", "INP"} <= set(by_metric(collector)))
    found = by_metric(collector)
    assert 0 < found["TTFB"]["duration_ms"] <= found["FCP"]["duration_ms"] <= found["LCP"]["duration_ms"] < 20_000
    assert 120 <= found["INP"]["duration_ms"] < 5_000
    assert 0.001 < found["CLS"]["score"] < 1
    assert "duration_ms" not in found["CLS"]
    assert found["LCP"]["step"] == "view_item"
    assert found["INP"]["rating"] in {"good", "needs-improvement", "poor"}
    for post in collector.posts:
        jsonschema.validate(post.body, SCHEMA)


def test_a_vital_is_sent_once_however_often_the_tab_is_hidden(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "vitals", html="<h1>Hello</h1>")
    collector.wait(lambda: {"TTFB", "FCP"} <= set(by_metric(collector)))
    hide(page)
    hide(page)
    collector.wait(lambda: "CLS" in by_metric(collector))
    page.wait_for_timeout(200)
    metrics = [each["properties"]["metric"] for each in collector.named("web_vital")]
    assert len(metrics) == len(set(metrics))


def test_the_checkout_add_on_loads_at_the_checkout_and_not_before(page: Page, shop: Server, collector: Server) -> None:
    open_shop(page, shop, collector, "checkout")
    page.evaluate("funnelwatch.view_item({}); funnelwatch.add_to_cart({})")
    collector.wait_for("add_to_cart")
    assert not any("checkout" in path for path in collector.requested)
    page.evaluate("funnelwatch.begin_checkout({})")
    collector.wait_for("begin_checkout")
    page.wait_for_timeout(200)
    assert any("checkout" in path for path in collector.requested)


def test_the_time_from_step_to_step_is_measured_across_pages(page: Page, shop: Server, collector: Server) -> None:
    page.clock.install()
    open_shop(page, shop, collector, "checkout")
    page.clock.run_for(1_000)
    page.evaluate("funnelwatch.begin_checkout({})")
    page.clock.run_for(20_000)
    page.evaluate("funnelwatch.add_shipping_info({})")
    page.clock.run_for(500)
    collector.wait_for("web_vital")
    open_shop(page, shop, collector, "checkout")
    page.clock.run_for(5_000)
    page.evaluate("funnelwatch.add_payment_info({})")
    page.clock.run_for(2_000)
    page.evaluate("funnelwatch.add_payment_info({})")
    page.clock.run_for(3_000)
    page.evaluate("funnelwatch.purchase({transaction_id: '1'})")
    page.clock.run_for(500)
    found = [each["properties"] for each in collector.wait_for("web_vital", 3)]
    assert [each["step"] for each in found] == [
        "begin_checkout->add_shipping_info", "add_shipping_info->add_payment_info", "add_payment_info->purchase",
    ]  # fmt: skip
    assert 20_000 <= found[0]["duration_ms"] < 25_000
    assert 5_000 <= found[2]["duration_ms"] < 10_000, "a second try to pay does not restart the clock"


def test_scripts_beside_a_checkout_are_listed_once_until_they_change(page: Page, shop: Server, collector: Server) -> None:
    elsewhere = collector.origin.replace("127.0.0.1", "localhost")
    collector.page("/pay.js", "window.pay = 1")
    collector.page("/fraud.js", "window.fraud = 1")
    shop.page("/app.js", "window.app = 1")
    digest = "sha384-" + base64.b64encode(hashlib.sha384(b"window.app = 1").digest()).decode()
    html = f'<script src="/app.js?v=7" integrity="{digest}"></script><script src="{elsewhere}/pay.js?key=secret"></script>'
    open_shop(page, shop, collector, "checkout", "scriptHashRate: 1", html)
    page.evaluate("funnelwatch.begin_checkout({})")
    inventory = collector.wait_for("script_inventory")[0]["properties"]
    scripts = {each["url"].rpartition("/")[2]: each for each in inventory["scripts"]}
    assert (scripts["app.js"]["integrity"], scripts["app.js"]["third_party"]) == (digest, False)
    assert scripts["app.js"]["duration_ms"] >= 0
    assert (scripts["pay.js"]["host"], scripts["pay.js"]["third_party"]) == ("localhost", True)
    assert scripts["pay.js"]["hash"] == hashlib.sha256(b"window.pay = 1").hexdigest()
    assert "secret" not in str(inventory)
    page.evaluate("funnelwatch.add_shipping_info({})")
    page.wait_for_timeout(2_300)
    page.evaluate("src => document.body.append(Object.assign(document.createElement('script'), {src}))", f"{elsewhere}/fraud.js")
    page.wait_for_function("window.fraud")
    page.evaluate("funnelwatch.add_payment_info({})")
    changed = collector.wait_for("script_inventory", 2)
    assert len(changed) == 2, "the same list is not sent again"
    assert any(each["url"].endswith("/fraud.js") for each in changed[1]["properties"]["scripts"])


def test_clicks_on_buttons_and_links_are_named_and_typed_text_is_not_read(page: Page, shop: Server, collector: Server) -> None:
    html = """<button data-fw-click="size_guide"><b>Size</b> guide</button><a href="#top?x=1" id="up">Up</a>
      <input type="submit" value="secret"><p>plain</p>"""
    open_shop(page, shop, collector, "clicks", html=html)
    page.wait_for_function("performance.getEntriesByType('resource').some((each) => each.name.includes('clicks'))")
    page.wait_for_timeout(100)
    page.click("b")
    page.click("p")
    page.click("a")
    page.click("input")
    found = [each["properties"] for each in collector.wait_for("click", 3)]
    assert found[0] == {"name": "size_guide", "tag": "button", "text": "Size guide"}
    assert (found[1]["id"], found[1]["href"]) == ("up", f"{shop.origin}/")
    assert "secret" not in json.dumps(found)
    assert len(found) == 3
