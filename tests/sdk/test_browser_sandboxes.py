"""The Shopify pixel and the Google Tag Manager template, each in a sandboxed frame against a stub of its host's API."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Frame, Page

from tests.sdk.shop import DIST, KEY, Server

CHECKOUT = {
    "token": "t1",
    "currencyCode": "INR",
    "order": {"id": "gid://shopify/Order/70041"},
    "totalPrice": {"amount": 89.01, "currencyCode": "INR"},
    "totalTax": {"amount": 8.1, "currencyCode": "INR"},
    "shippingLine": {"price": {"amount": 5, "currencyCode": "INR"}},
    "discountApplications": [{"title": "SPRING10", "type": "DISCOUNT_CODE"}],
    "delivery": {"selectedDeliveryOptions": [{"title": "Express", "handle": "express"}]},
    "transactions": [{"gateway": "razorpay", "paymentMethod": {"name": "VISA", "type": "creditCard"}}],
    "lineItems": [
        {
            "title": "Linen shirt",
            "quantity": 2,
            "variant": {
                "id": "gid://shopify/ProductVariant/1",
                "sku": "SKU-1042",
                "title": "M",
                "price": {"amount": 39.5, "currencyCode": "INR"},
                "product": {"id": "9", "title": "Linen shirt", "type": "Shirts", "vendor": "Northpine"},
            },
        }
    ],
}
VARIANT = CHECKOUT["lineItems"][0]["variant"]  # type: ignore[index]
LINE = {"merchandise": VARIANT, "quantity": 2, "cost": {"totalAmount": {"amount": 79, "currencyCode": "INR"}}}

#: The part of Shopify's pixel API that is used, as its documentation describes it; storage lives in the top frame.
SHOPIFY_STUB = """
  window.top_storage = {};
  window.subscribers = [];
  window.consent_subscribers = [];
  const later = (action) => new Promise((resolve) => setTimeout(() => resolve(action()), 1));
  window.api = (settings, allowed) => ({
    settings,
    init: {context: undefined, customerPrivacy: {analyticsProcessingAllowed: allowed}},
    analytics: {subscribe: (name, listener) => subscribers.push([name, listener])},
    customerPrivacy: {subscribe: (name, listener) => consent_subscribers.push(listener)},
    browser: {localStorage: {
      getItem: (key) => later(() => top_storage[key] ?? null),
      setItem: (key, value) => later(() => { top_storage[key] = value; }),
      removeItem: (key) => later(() => { delete top_storage[key]; }),
    }},
  });
  window.publish = (event) => subscribers.forEach(([name, listener]) => name == 'all_standard_events' && listener(event));
"""


def sandbox(page: Page, shop: Server, script: str) -> Frame:
    """A frame without the page's origin, as shops isolate pixels, running `script`."""
    shop.page("/sandbox", f"<script>{script}</script>")
    page.goto(shop.page("/", '<iframe sandbox="allow-scripts" src="/sandbox"></iframe>'))
    return page.frames[1]


def pixel(page: Page, shop: Server, collector: Server, scope: str = "all", allowed: bool = True) -> Frame:
    settings = json.dumps({"write_key": KEY, "host": collector.origin + "/", "scope": scope})
    extend = f"window.shopify = {{extend: (point, run) => point == 'WebPixel::Render' && run(api({settings}, {json.dumps(allowed)}))}};"
    return sandbox(page, shop, SHOPIFY_STUB + extend + (DIST / "shopify-pixel.js").read_text())


def publish(frame: Frame, name: str, data: dict[str, Any], number: int = 1) -> None:
    href = "https://shop.example/checkouts/1?utm_source=ig&utm_campaign=ig_sale&key=secret"
    document = {"location": {"href": href, "pathname": "/checkouts/1"}, "referrer": "https://shop.example/cart", "title": "Checkout"}
    event = {
        "id": f"sh-{name}-{number}", "name": name, "clientId": "c1", "timestamp": f"2026-03-02T10:00:{number:02d}.000Z",
        "context": {"document": document}, "data": data,
    }  # fmt: skip
    frame.evaluate("event => publish(event)", event)


SHOPIFY = [
    ("product_viewed", {"productVariant": VARIANT}, "view_item"),
    ("collection_viewed", {"collection": {"id": "7", "title": "Shirts", "productVariants": [VARIANT]}}, "view_item_list"),
    ("search_submitted", {"searchResult": {"query": "linen", "productVariants": []}}, "search"),
    ("product_added_to_cart", {"cartLine": LINE}, "add_to_cart"),
    ("product_removed_from_cart", {"cartLine": LINE}, "remove_from_cart"),
    ("cart_viewed", {"cart": {"lines": [LINE], "cost": LINE["cost"]}}, "view_cart"),
    ("checkout_started", {"checkout": CHECKOUT}, "begin_checkout"),
    ("checkout_shipping_info_submitted", {"checkout": CHECKOUT}, "add_shipping_info"),
    ("payment_info_submitted", {"checkout": CHECKOUT}, "add_payment_info"),
    ("checkout_completed", {"checkout": CHECKOUT}, "purchase"),
    ("alert_displayed", {"alert": {"type": "PAYMENT_ERROR", "message": "Declined"}}, "payment_failed"),
    ("alert_displayed", {"alert": {"type": "DISCOUNT_ERROR", "value": "WINTER20"}}, "coupon_rejected"),
    ("alert_displayed", {"alert": {"type": "INVENTORY_ERROR"}}, "out_of_stock"),
]


def test_shopify_s_events_become_ours_under_shopify_s_ids_and_times(page: Page, shop: Server, collector: Server) -> None:
    frame = pixel(page, shop, collector)
    publish(frame, "page_viewed", {})
    for number, (name, data, _) in enumerate(SHOPIFY, 2):
        publish(frame, name, data, number)
    collector.wait(lambda: len(collector.stored()) == 1 + len(SHOPIFY))
    messages = collector.stored()
    assert [message.get("event", "page_view") for message in messages] == ["page_view", *(event for _, _, event in SHOPIFY)]
    assert messages[0]["messageId"] == "sh-page_viewed-1"
    assert messages[0]["timestamp"] == "2026-03-02T10:00:01.000Z"
    assert len({message["anonymousId"] for message in messages}) == 1
    assert len({message["context"]["sessionId"] for message in messages}) == 1
    context = messages[0]["context"]
    assert context["page"]["url"] == "https://shop.example/checkouts/1"
    assert context["campaign"] == {"source": "ig", "medium": "(not set)", "name": "ig_sale"}
    assert context["library"]["name"] == "funnelwatch-shopify"


def test_a_shopify_order_carries_the_id_its_webhook_has_and_its_money(page: Page, shop: Server, collector: Server) -> None:
    frame = pixel(page, shop, collector)
    publish(frame, "checkout_completed", {"checkout": CHECKOUT})
    assert collector.wait_for("purchase")[0]["properties"] == {
        "transaction_id": "70041", "currency": "INR", "value": 89.01, "tax": 8.1, "shipping": 5, "coupon": "SPRING10",
        "shipping_tier": "Express", "payment_provider": "razorpay", "payment_type": "creditCard",
        "items": [{"item_id": "SKU-1042", "item_name": "Linen shirt", "item_category": "Shirts", "item_brand": "Northpine",
                   "item_variant": "M", "price": 39.5, "quantity": 2}],
    }  # fmt: skip


def test_a_pixel_event_with_nothing_in_it_does_no_harm(page: Page, shop: Server, collector: Server) -> None:
    frame = pixel(page, shop, collector)
    for number, (name, _, _) in enumerate(SHOPIFY):
        publish(frame, name, {}, number)
    frame.evaluate("publish({id: 'x', name: 'product_viewed', timestamp: 'never'})")
    publish(frame, "checkout_completed", {"checkout": CHECKOUT}, 30)
    collector.wait(lambda: any(each["messageId"] == "sh-checkout_completed-30" for each in collector.stored()))


def test_the_pixel_leaves_storefront_events_to_the_theme_where_told(page: Page, shop: Server, collector: Server) -> None:
    frame = pixel(page, shop, collector, scope="checkout")
    publish(frame, "page_viewed", {}, 1)
    publish(frame, "product_viewed", {"productVariant": VARIANT}, 2)
    publish(frame, "checkout_started", {"checkout": CHECKOUT}, 3)
    collector.wait_for("begin_checkout")
    assert len(collector.stored()) == 1


def test_the_pixel_joins_the_visit_the_theme_began(page: Page, shop: Server, collector: Server) -> None:
    visit = {"anonymousId": "theirs", "userId": "customer-881", "sessionId": "s1", "last": 1772445600000, "tags": {}, "since": 0, "experiments": {}}
    frame = pixel(page, shop, collector)
    frame.evaluate("visit => { top_storage['fw.visit'] = JSON.stringify(visit) }", visit)
    publish(frame, "checkout_started", {"checkout": CHECKOUT})
    message = collector.wait_for("begin_checkout")[0]
    assert (message["anonymousId"], message["userId"], message["context"]["sessionId"]) == ("theirs", "customer-881", "s1")


def test_the_pixel_waits_for_shopify_s_consent(page: Page, shop: Server, collector: Server) -> None:
    frame = pixel(page, shop, collector, allowed=False)
    publish(frame, "checkout_started", {"checkout": CHECKOUT})
    page.wait_for_timeout(300)
    assert collector.posts == []
    assert frame.evaluate("top_storage") == {}
    frame.evaluate("consent_subscribers.forEach((tell) => tell({customerPrivacy: {analyticsProcessingAllowed: true}}))")
    collector.wait_for("begin_checkout")
    frame.evaluate("consent_subscribers.forEach((tell) => tell({customerPrivacy: {analyticsProcessingAllowed: false}}))")
    publish(frame, "checkout_completed", {"checkout": CHECKOUT}, 2)
    page.wait_for_timeout(300)
    assert collector.named("purchase") == []
    assert frame.evaluate("top_storage") == {}


#: GTM's sandboxed APIs as documented; `callInWindow` and `injectScript` act on the frame.
GTM_STUB = """
  window.dataLayer = [];
  window.consents = [];
  window.granted = false;
  const walk = (path) => { const keys = path.split('.'); const last = keys.pop(); return [keys.reduce((at, key) => at?.[key], window), last]; };
  const loaded = {};
  const apis = {
    injectScript(url, success, failure, token) {
      loaded[token] ??= new Promise((done, fail) => {
        document.head.append(Object.assign(document.createElement('script'), {src: url, onload: done, onerror: fail}));
      });
      loaded[token].then(success, failure);
    },
    callInWindow(path, ...args) { const [at, key] = walk(path); return typeof at?.[key] == 'function' ? at[key](...args) : undefined; },
    setInWindow(path, value, override) {
      const [at, key] = walk(path);
      if (key in at && !override) return false;
      at[key] = value;
      return true;
    },
    copyFromDataLayer: (key) => dataLayer[dataLayer.length - 1]?.[key],
    encodeUriComponent: encodeURIComponent,
    isConsentGranted: () => granted,
    addConsentListener: (type, listener) => consents.push(listener),
  };
  window.outcome = [];
  window.fire = (push, fields) => {
    dataLayer.push(push);
    const data = {...fields, gtmOnSuccess: () => outcome.push('ok'), gtmOnFailure: () => outcome.push('failed')};
    // The sandbox has no globals: whatever the code needs it has to require.
    new Function('require', 'data', 'window', 'document', 'fetch', 'setTimeout', TEMPLATE)((name) => apis[name], data);
  };
"""


def gtm(page: Page, shop: Server, collector: Server) -> Frame:
    template = (DIST / "gtm-template.tpl").read_text()
    code = re.search(r"___SANDBOXED_JS_FOR_WEB_TEMPLATE___\n(.*?)\n___WEB_PERMISSIONS___", template, re.DOTALL)
    assert code
    return sandbox(page, shop, f"const TEMPLATE = {json.dumps(code[1])};{GTM_STUB}")


def fire(frame: Frame, collector: Server, push: dict[str, Any], **fields: Any) -> None:
    data = {"writeKey": KEY, "host": collector.origin, "followConsentMode": False, "testTraffic": False, **fields}
    frame.evaluate("([push, data]) => fire(push, data)", [push, data])


def test_the_tag_loads_the_sdk_once_and_forwards_ga4_events(page: Page, shop: Server, collector: Server) -> None:
    frame = gtm(page, shop, collector)
    fire(frame, collector, {"event": "gtm.js"})
    fire(frame, collector, {"event": "add_to_cart", "ecommerce": {"currency": "INR", "value": 79, "items": [{"item_id": "SKU-1042"}]}})
    fire(frame, collector, {"event": "search", "search_term": "linen"})
    fire(frame, collector, {"event": "gtm.click"})
    assert collector.wait_for("add_to_cart")[0]["properties"] == {"currency": "INR", "value": 79, "items": [{"item_id": "SKU-1042"}]}
    assert collector.wait_for("search")[0]["properties"] == {"search_term": "linen"}
    collector.wait_views()
    assert frame.evaluate("outcome") == ["ok", "ok", "ok", "ok"]
    assert len(collector.stored()) == 3
    assert collector.requested.count(f"/js/{KEY}.js") == 1


def test_the_tag_follows_consent_mode(page: Page, shop: Server, collector: Server) -> None:
    frame = gtm(page, shop, collector)
    fire(frame, collector, {"event": "gtm.js"}, followConsentMode=True)
    fire(frame, collector, {"event": "purchase", "ecommerce": {"transaction_id": "1"}}, followConsentMode=True, testTraffic=True)
    page.wait_for_timeout(400)
    assert collector.posts == []
    frame.evaluate("consents.forEach((tell) => tell('analytics_storage', true))")
    assert collector.wait_for("purchase")[0]["context"]["consent"] == "granted"
    assert frame.evaluate("consents.length") == 1


def test_a_tag_whose_server_is_away_says_that_it_failed(page: Page, shop: Server, collector: Server) -> None:
    frame = gtm(page, shop, collector)
    fire(frame, collector, {"event": "purchase"}, host="http://127.0.0.1:1")
    frame.wait_for_function("outcome.length")
    assert frame.evaluate("outcome") == ["failed"]


@pytest.mark.parametrize("section", ["INFO", "TEMPLATE_PARAMETERS", "WEB_PERMISSIONS"])
def test_the_template_s_sections_are_what_tag_manager_imports(section: str) -> None:
    template = (DIST / "gtm-template.tpl").read_text()
    found = re.search(rf"___{section}___\n\n(.*?)\n\n\n___", template, re.DOTALL)
    assert found
    json.loads(found[1])


def test_the_template_asks_for_every_permission_its_code_needs() -> None:
    template = (DIST / "gtm-template.tpl").read_text()
    required = set(re.findall(r'require\("(\w+)"\)', template))
    granted = set(re.findall(r'"publicId": "(\w+)"', template))
    needs = {
        "injectScript": "inject_script", "callInWindow": "access_globals", "setInWindow": "access_globals",
        "copyFromDataLayer": "read_data_layer", "isConsentGranted": "access_consent", "addConsentListener": "access_consent",
    }  # fmt: skip
    assert {needs[name] for name in required - {"encodeUriComponent"}} == granted
