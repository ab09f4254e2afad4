"""What a message becomes: one vocabulary, time, dimensions, privacy. Through the same path as HTTP, without the network."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.core import clock
from funnelwatch.core.events import Drop, Event
from funnelwatch.ingest import geo
from funnelwatch.ingest.arrival import Arrival, arrival_from
from funnelwatch.ingest.draft import FIELDS, decode_lines, encode_lines, to_event
from funnelwatch.ingest.intake import read_one, to_events
from funnelwatch.ingest.privacy import scrub
from funnelwatch.ingest.snapshot import KeyInfo

NOW = clock.to_ms(datetime(2026, 6, 1, 12, tzinfo=UTC))
KEY = KeyInfo(project_id=7, salt="pepper")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
CONTRACT = Path(__file__).parents[2] / "sdk" / "contract" / "examples"


def arrival(key: KeyInfo = KEY, peer: str = "", proxies: tuple[str, ...] = (), **headers: str) -> Arrival:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return arrival_from(key, NOW, named, peer, proxies)


def made(message: dict[str, Any], came: Arrival | None = None) -> Event | Drop:
    events, drops = to_events([message], came or arrival())
    return (*events, *drops)[0]


def event(came: Arrival | None = None, **message: Any) -> Event:
    found = made({"type": "track", "event": "E", "anonymousId": "v", **message}, came)
    assert isinstance(found, Event), found
    return found


def drop(came: Arrival | None = None, **message: Any) -> str:
    found = made({"type": "track", "event": "E", "anonymousId": "v", **message}, came)
    assert isinstance(found, Drop), found
    return found.reason


@pytest.mark.parametrize("path", sorted(CONTRACT.glob("*.json")), ids=lambda path: path.stem)
def test_each_example_of_the_sdk_contract_becomes_what_it_says(path: Path) -> None:
    example = json.loads(path.read_text())
    found = msgspec.structs.asdict(made(example["message"]))
    for name, expected in example["canonical"].items():
        value = found[name]
        if name == "items":
            value = [{**msgspec.structs.asdict(item), "price": item.price} for item in value]
            expected = [{"category": "", **line, "price": Decimal(str(line["price"])) if "price" in line else None} for line in expected]
        elif name == "variants":
            value = list(value)
        elif isinstance(value, Decimal):
            expected = Decimal(str(expected))
        assert value == expected, name


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("Product List Viewed", "view_item_list"), ("Product Viewed", "view_item"), ("Product Added", "add_to_cart"), ("product added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"), ("Cart Viewed", "view_cart"), ("Checkout Started", "begin_checkout"),
        ("Payment Info Entered", "add_payment_info"), ("Order Completed", "purchase"), ("Order Refunded", "refund"),
        ("Products Searched", "search"), ("Signed Up", "sign_up"), ("Coupon Denied", "coupon_rejected"),
        ("page_viewed", "page_view"), ("collection_viewed", "view_item_list"), ("product_viewed", "view_item"),
        ("product_added_to_cart", "add_to_cart"), ("cart_viewed", "view_cart"), ("checkout_started", "begin_checkout"),
        ("checkout_shipping_info_submitted", "add_shipping_info"), ("payment_info_submitted", "add_payment_info"),
        ("checkout_completed", "purchase"), ("search_submitted", "search"),
        ("view_item", "view_item"), ("add_shipping_info", "add_shipping_info"), ("purchase", "purchase"),
        ("Wishlist Shared", "Wishlist Shared"), ("größe gewählt", "größe gewählt"),
    ],
)  # fmt: skip
def test_names_of_segment_shopify_and_ga4_mean_the_same_and_others_pass_through(sent: str, canonical: str) -> None:
    assert event(event=sent).name == canonical


@pytest.mark.parametrize(
    ("properties", "canonical"),
    [
        ({"step": 1}, "begin_checkout"), ({"step": 2}, "add_shipping_info"), ({"step": "3"}, "add_payment_info"),
        ({"step": 1, "shipping_method": "DHL"}, "add_shipping_info"), ({"step": 1, "payment_method": "card"}, "add_payment_info"),
        ({"step": 2, "shipping_method": "DHL", "payment_method": "card"}, "add_shipping_info"), ({"step": "Payment"}, "add_payment_info"),
        ({}, "begin_checkout"),
    ],
)  # fmt: skip
def test_a_completed_checkout_step_maps_by_its_step_or_method(properties: dict[str, Any], canonical: str) -> None:
    assert event(event="Checkout Step Completed", properties=properties).name == canonical


def test_money_is_value_else_revenue_else_total_as_sent() -> None:
    assert event(properties={"total": 3, "revenue": 2, "value": 1.10}).value == Decimal("1.1")
    assert event(properties={"total": 3, "revenue": "2.50"}).value == Decimal("2.50") == event(properties={"revenue": 2.5}).value
    assert event(properties={"total": 3}).value == 3
    assert event(properties={"value": "abc", "total": 3}).value == 3
    for wrong in (True, None, [], {}, "", "nan", "inf", 1e300, "1e999", -1e15):
        assert event(properties={"value": wrong}).value is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.234,56", "1234.56"), ("12,50", "12.50"), ("1,234", "1234"), ("$12.50", "12.50"), ("1,234.56", "1234.56"), ("1.234.567", "1234567"),
        ("1.234.567,8", "1234567.8"), ("1,234,567", "1234567"), ("12,34,567.89", "1234567.89"), ("1.234", "1.234"), ("0,500", "0.5"), ("1234,567", "1234.567"),
        ("1 234,56 €", "1234.56"), ("1\u202f234,56\xa0€", "1234.56"), ("CHF 1'234.50", "1234.5"), ("1’234", "1234"), ("12,50 kr.", "12.5"), ("Rs. 1,234", "1234"),
        ("US$ 12", "12"), ("-12,50 €", "-12.5"), ("€ -12,50", "-12.5"), ("−$12.50", "-12.5"), ("12,-", "12"), ("12.- CHF", "12"), (".5", "0.5"), ("+5", "5"),
        ("1E+3", "1000"), (" 7 ", "7"), ("0", "0"),
        ("1.2.3", None), ("1,23,45", None), ("1.234,567.8", None), ("1,234,56", None), ("12 34", None), ("12 345 67", None), ("50 %", None), ("12 euros", None),
        ("--5", None), ("-5-", None), ("$", None), ("1_000", None), ("2026-06-01", None), ("0" * 39 + "12", None), ("1.234 - 2.345", None),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_the_shop_s_country_writes_it_or_not_at_all(written: str, meant: str | None) -> None:
    assert event(properties={"value": written}).value == (None if meant is None else Decimal(meant))
    (item,) = event(properties={"items": [{"sku": "S", "price": written}]}).items
    assert item.price == (None if meant is None else Decimal(meant))


STYLES = [("", "."), (",", "."), (".", ","), (" ", ","), ("\xa0", ","), ("\u202f", ","), ("'", "."), ("’", ".")]


@given(
    st.integers(-(10**9), 10**9), st.sampled_from([2, 1]), st.sampled_from(STYLES),
    st.sampled_from(["", "$", "€", "EUR ", "kr ", "US$"]), st.sampled_from(["", " €", "€", " PLN", " Kč"]),
)  # fmt: skip
def test_an_amount_with_decimals_is_read_exactly_in_every_style(units: int, decimals: int, style: tuple[str, str], before: str, after: str) -> None:
    meant = Decimal(units).scaleb(-decimals)
    written = f"{before}{meant:,.{decimals}f}{after}".translate(str.maketrans({",": style[0], ".": style[1]}))
    assert event(properties={"value": written}).value == meant


@given(st.integers(0, 10**9), st.sampled_from([",", ".", " ", "'"]))
def test_a_whole_amount_in_groups_of_thousands_is_never_read_a_thousandth(units: int, separator: str) -> None:
    written = f"{units:,}".replace(",", separator)
    read = event(properties={"value": written}).value
    assert read == (Decimal(written) if separator == "." and written.count(".") == 1 else units)


def test_segment_order_with_products_fills_order_items_and_methods() -> None:
    found = event(
        event="Order Completed",
        properties={
            "order_id": 5012, "currency": "usd", "coupon": "SAVE", "payment_method": "card", "shipping_method": "DHL", "affiliation": "web",
            "products": [{"product_id": "p1", "sku": "S1", "price": "9.90", "quantity": 2, "category": "Shoes"}, {"name": "Only a name"}, "junk", {}],
        },
    )  # fmt: skip
    assert (found.order_id, found.currency, found.coupon, found.payment_method, found.shipping_method) == ("5012", "USD", "SAVE", "card", "DHL")
    assert [(item.sku, item.category, item.quantity, item.price) for item in found.items] == [
        ("S1", "Shoes", 2, Decimal("9.90")),
        ("Only a name", "", 1, None),
    ]
    assert json.loads(found.properties) == {"affiliation": "web"}


def test_a_flat_product_is_one_item() -> None:
    found = event(event="Product Viewed", properties={"product_id": "p", "sku": "S", "category": "Bags", "price": 4})
    assert [(item.sku, item.category, item.price) for item in found.items] == [("S", "Bags", Decimal(4))]


def test_a_custom_event_keeps_all_its_properties() -> None:
    properties = {"list": "x", "value": 3, "nested": {"a": [1, {"b": None}]}}
    assert json.loads(event(event="Wishlist Shared", properties=properties).properties) == properties


def test_a_shopify_web_pixel_event_is_understood() -> None:
    sent = {
        "id": "sh-1", "clientId": "c-1", "name": "checkout_completed", "timestamp": "2026-06-01T11:59:00.000Z", "type": "standard", "seq": 3,
        "context": {"document": {"location": {"href": "https://shop.example/checkout/thank-you?utm_source=x&utm_medium=y"}, "referrer": ""},
                    "navigator": {"userAgent": IPHONE}},
        "data": {"checkout": {
            "currencyCode": "EUR", "totalPrice": {"amount": 12.5}, "order": {"id": "gid://shopify/OrderIdentity/4501"},
            "lineItems": [{"quantity": 2, "variant": {"sku": "V1", "price": {"amount": 6.25}, "product": {"type": "Shoes"}}}],
            "transactions": [{"gateway": "shopify_payments", "paymentMethod": {"name": "visa"}}],
            "delivery": {"selectedDeliveryOptions": [{"title": "Express"}]}, "discountApplications": [{"type": "DISCOUNT_CODE", "title": "TEN"}],
        }},
    }  # fmt: skip
    for shape in (sent, {name: value for name, value in sent.items() if name != "type"}):
        found = made(shape)
        assert isinstance(found, Event)
        assert (found.name, found.message_id, found.order_id, found.value, found.currency) == ("purchase", "sh-1", "4501", Decimal("12.5"), "EUR")
        assert (found.payment_provider, found.payment_method, found.shipping_method, found.coupon) == ("shopify_payments", "visa", "Express", "TEN")
        assert [(item.sku, item.category, item.quantity) for item in found.items] == [("V1", "Shoes", 2)]
        assert (found.device, found.browser, found.source) == ("mobile", "Safari", "x")


def pixel(name: str, data: Any, **more: Any) -> Event:
    found = made({"id": "sh-2", "clientId": "c-1", "name": name, "timestamp": "2026-06-01T11:59:00.000Z", "type": "standard", "data": data, **more})
    assert isinstance(found, Event), found
    return found


@pytest.mark.parametrize(
    ("alert", "name", "code", "properties"),
    [
        ({"type": "PAYMENT_ERROR", "message": "Declined", "value": "4111"}, "payment_failed", "payment_error", {"message": "Declined"}),
        ({"type": "DISCOUNT_ERROR", "message": "Expired", "value": "SAVE"}, "coupon_rejected", "discount_error", {"message": "Expired"}),
        ({"type": "INVENTORY_ERROR", "message": "Gone"}, "out_of_stock", "inventory_error", {"message": "Gone"}),
        ({"type": "INPUT_INVALID", "target": "cart.deliveryAddress", "message": "Enter a city", "value": "Anna's street"}, "checkout_alert", "input_invalid",
         {"code": "input_invalid", "message": "Enter a city", "target": "cart.deliveryAddress"}),
        ("nonsense", "checkout_alert", "", {"code": "", "message": None, "target": None}),
    ],
)  # fmt: skip
def test_an_alert_of_shopify_s_checkout_is_what_our_own_pixel_makes_of_it(alert: Any, name: str, code: str, properties: dict[str, Any]) -> None:
    found = pixel("alert_displayed", {"alert": alert})
    assert (found.name, found.error_code, json.loads(found.properties)) == (name, code, properties)
    assert found.coupon == ("SAVE" if name == "coupon_rejected" else "")
    assert found.stock_state == ("out_of_stock" if name == "out_of_stock" else "")


def test_a_web_pixel_event_of_another_kind_keeps_its_data() -> None:
    assert json.loads(pixel("anything", {"foo": 1}).properties) == {"foo": 1}
    error = {"extensionName": "gift", "message": "boom", "type": "EXTENSION_USAGE_ERROR"}
    assert json.loads(pixel("ui_extension_errored", {"error": error}).properties) == {"error": error}
    contact = {"checkout": {"email": "anna@example.com", "phone": "0151", "totalPrice": {"amount": 5}}, "step": 1}
    assert json.loads(pixel("checkout_contact_info_submitted", contact).properties) == {"step": 1, "value": 5}
    both = pixel("mine", None, type="custom", customData={"foo": 2})
    assert json.loads(both.properties) == {"foo": 2}


def test_a_dom_event_of_the_web_pixel_tells_the_element_and_not_what_was_typed() -> None:
    form = {"id": "f", "elements": [{"name": "street", "value": "Anna's street"}]}
    found = pixel("form_submitted", {"element": form}, type="dom")
    assert (found.name, json.loads(found.properties)) == ("form_submitted", {"element": {"id": "f", "elements": [{"name": "street"}]}})


def test_the_web_pixel_s_payment_and_articles_are_named_as_our_own_pixel_names_them() -> None:
    line = {"quantity": 1, "variant": {"id": "gid://shopify/ProductVariant/44012345678901", "price": {"amount": 5}}}
    found = pixel("payment_info_submitted", {"checkout": {"transactions": [{"paymentMethod": {"name": "visa", "type": "creditCard"}}], "lineItems": [line]}})
    assert (found.payment_method, [item.sku for item in found.items]) == ("creditCard", ["44012345678901"])


def test_time_is_the_timestamp_corrected_by_the_clients_own_delay() -> None:
    found = event(timestamp="2026-06-01T09:00:00.000Z", sentAt="2026-06-01T09:00:10.000Z")
    assert (found.ts, found.skew_ms, found.received_at) == (NOW - 10_000, 3 * 3_600_000 - 10_000, NOW)
    assert event(originalTimestamp="2026-06-01T11:00:00+02:00").ts == NOW - 3 * 3_600_000
    assert event(timestamp=NOW - 5).ts == NOW - 5
    assert event().ts == NOW
    assert event(timestamp="yesterday").ts == NOW


@pytest.mark.parametrize(
    ("timestamp", "sent", "mark"),
    [
        ("2026-06-02T11:59:00Z", None, ""), ("2026-06-02T12:01:00Z", None, "future"), ("2025-04-28T00:00:00Z", None, ""),
        ("2025-04-26T00:00:00Z", None, "too_old"), ("1970-01-02T00:00:00Z", "1970-01-02T00:00:01Z", "too_old"),
        ("9999-12-31T23:59:59Z", None, "future"), (1e300, None, "future"), (-(2**63), None, "too_old"),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_replaced_by_the_receipt_and_marked(timestamp: Any, sent: str | None, mark: str) -> None:
    found = event(timestamp=timestamp, **({"sentAt": sent} if sent else {}))
    assert found.time_mark == mark
    assert not mark or found.ts == NOW


def test_in_an_imported_file_each_line_carries_its_own_receipt() -> None:
    came = Arrival(key=KEY, now=NOW, received_at=None)
    found = event(came, timestamp="2026-01-01T00:00:00Z", sentAt="2026-01-01T00:00:05Z", receivedAt="2026-01-01T00:00:06Z")
    assert (clock.from_ms(found.ts).isoformat(), found.skew_ms) == ("2026-01-01T00:00:01+00:00", 1000)
    found = event(came, timestamp="2026-01-01T00:00:00Z")
    assert found.ts == found.received_at == clock.to_ms(datetime(2026, 1, 1, tzinfo=UTC))


def test_without_a_message_id_the_same_content_has_the_same_identity_in_any_key_order() -> None:
    first = event(properties={"a": 1, "b": 2}, timestamp="2026-06-01T10:00:00Z", sentAt="2026-06-01T10:00:01Z")
    again = made({"sentAt": "2026-06-01T10:07:01Z", "timestamp": "2026-06-01T10:00:00Z", "properties": {"b": 2, "a": 1},
                  "anonymousId": "v", "event": "E", "type": "track"})  # fmt: skip
    assert first.message_id == again.message_id
    assert event(properties={"a": 1, "b": 3}, timestamp="2026-06-01T10:00:00Z").message_id != first.message_id


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (IPHONE, ("mobile", "iOS", "17.4", "Safari", "17.4", False)),
        (CHROME, ("desktop", "Windows", "10", "Chrome", "126.0", False)),
        ("Mozilla/5.0 (iPad; CPU OS 16_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Mobile/15E148 Safari/604.1",
         ("tablet", "iOS", "16.1", "Safari", "16.1", False)),
        ("Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/24.0 Chrome/117.0.0.0 Mobile Safari/537.36",
         ("mobile", "Android", "14", "Samsung Internet", "24.0", False)),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ("bot", "", "", "Googlebot", "2.1", True)),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
         ("bot", "Linux", "", "Chrome", "126.0", True)),
    ],
)  # fmt: skip
def test_a_user_agent_becomes_device_system_and_browser(agent: str, expected: tuple[Any, ...]) -> None:
    for found in (event(context={"userAgent": agent}), event(arrival(user_agent=agent))):
        assert (found.device, found.os, found.os_version, found.browser, found.browser_version, found.bot) == expected


ANDROID = "Mozilla/5.0 (Linux; Android 9; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.0.0 Mobile Safari/537.36"


@pytest.mark.parametrize("model", ["CUBOT NOTE 20", "CUBOT", "CUBOT_X19 Build/PPR1", "Symphony Ruby", "Monitor M7 Build/X", "Node 5", "Preview 2", "Nodens"])
def test_a_phone_whose_name_sounds_like_a_robot_is_a_phone(model: str) -> None:
    found = event(context={"userAgent": ANDROID.format(model)})
    assert (found.device, found.os, found.bot) == ("mobile", "Android", False)
    assert event(arrival(user_agent=ANDROID.format(model))).browser == "Chrome"


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "Mozilla/5.0 (compatible; AhrefsBot/7.0)", "UptimeRobot/2.0", "MyRobot",
        "Mozilla/5.0 (compatible; Shop Monitor; https://m.example)", "SiteMonitor/1.0", "Shop monitoring service", "SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.0.0 Safari/537.36 BingPreview/1.0b",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko; Google Web Preview) Chrome/41.0.2272.118 Safari/537.36",
        "node", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "Node.js/18", "Ruby", "rest-client/2.1.0 (linux x86_64) ruby/3.0.1",
    ],
)  # fmt: skip
def test_robots_monitors_and_http_libraries_are_told_from_people(agent: str) -> None:
    assert event(context={"userAgent": agent}).bot


@pytest.mark.parametrize(
    ("system", "browser", "expected"),
    [
        ("iPhone OS", "Mobile Safari", ("iOS", "Safari")), ("ios", "safari", ("iOS", "Safari")), ("iPadOS", "Safari (in-app)", ("iOS", "Safari")),
        ("Mac OS X", "Chrome Mobile iOS", ("macOS", "Chrome")), ("MACOS", "CHROME", ("macOS", "Chrome")), ("android", "Samsung Browser", ("Android", "Samsung Internet")),
        ("Chrome OS", "Microsoft Edge", ("ChromeOS", "Edge")), ("Tizen", "Vivaldi", ("Tizen", "Vivaldi")),
    ],
)  # fmt: skip
def test_a_stated_system_or_browser_is_folded_like_one_of_the_user_agent(system: str, browser: str, expected: tuple[str, str]) -> None:
    found = event(context={"os": {"name": system, "version": "17"}, "browser": {"name": browser, "version": "9"}})
    assert (found.os, found.browser, found.os_version, found.browser_version) == (*expected, "17", "9")


def test_what_the_client_states_of_its_device_wins_over_the_user_agent() -> None:
    context = {"userAgent": CHROME, "device": {"type": "ios"}, "os": {"name": "iOS", "version": 17}}
    found = event(context=context)
    assert (found.device, found.os, found.os_version, found.browser) == ("mobile", "iOS", "17", "Chrome")


def test_a_server_is_no_browser_and_its_http_library_no_robot() -> None:
    found = event(arrival(user_agent="python-requests/2.31", peer="8.8.8.8"), channel="server")
    assert (found.channel, found.device, found.country, found.bot) == ("server", "", "", False)
    assert not event(arrival(user_agent="python-requests/2.31")).bot
    assert event(context={"library": {"name": "@segment/analytics-node", "version": "3"}}).channel == "server"


def test_country_comes_from_the_location_else_a_trusted_cdn_else_the_address() -> None:
    stated = {"context": {"location": {"country": "de", "region": "BY"}, "ip": "8.8.8.8"}}
    assert (event(**stated).country, event(**stated).region) == ("DE", "BY")
    cdn = {"cf_ipcountry": "fr", "cf_region_code": "75", "x_forwarded_for": "9.9.9.9, 49.36.1.1"}
    trusted = arrival(peer="10.0.0.1", proxies=("10.0.0.0/8",), **cdn)
    assert (event(trusted).country, event(trusted).region) == ("FR", "75")
    assert event(arrival(peer="10.0.0.1", **cdn)).country == ""
    behind = arrival(peer="10.0.0.1", proxies=("10.0.0.0/8",), x_forwarded_for="9.9.9.9, 49.36.1.1, 10.0.0.7")
    assert (behind.address, event(behind).country) == ("49.36.1.1", "IN")
    assert event(context={"ip": "49.36.1.1"}).country == "IN"
    assert event(context={"ip": "not an address"}).country == ""


def test_a_browser_in_a_data_centre_is_marked_as_robot() -> None:
    assert geo.locate("52.95.110.1").hosting
    assert event(context={"ip": "52.95.110.1", "userAgent": CHROME}).bot
    assert not event(context={"ip": "49.36.1.1", "userAgent": CHROME}).bot
    assert not event(context={"ip": "52.95.110.1"}, channel="server").bot


@pytest.mark.parametrize(
    ("url", "referrer", "expected"),
    [
        ("https://s.example/?utm_source=ig&utm_medium=social&utm_campaign=sale", "https://www.google.com/", ("ig", "social", "sale")),
        ("https://s.example/?gclid=abc", "", ("google", "cpc", "")),
        ("https://s.example/?fbclid=abc&utm_campaign=c", "", ("(not set)", "(not set)", "c")),
        ("https://s.example/", "https://www.google.co.uk/search?q=x", ("google", "organic", "")),
        ("https://s.example/", "https://l.instagram.com/?u=x", ("instagram", "social", "")),
        ("https://s.example/", "https://blog.example.org/post", ("blog.example.org", "referral", "")),
        ("https://s.example/cart", "https://www.s.example/", ("", "", "")),
        ("https://s.example/", "", ("(direct)", "(none)", "")),
        ("http://[broken", "http://[broken", ("(direct)", "(none)", "")),
    ],
)  # fmt: skip
def test_a_page_tells_where_the_visit_came_from(url: str, referrer: str, expected: tuple[str, str, str]) -> None:
    found = event(context={"page": {"url": url, "referrer": referrer}})
    assert (found.source, found.medium, found.campaign) == expected


def test_a_stated_campaign_wins_over_the_url() -> None:
    page = {"url": "https://s.example/?utm_source=other"}
    found = event(context={"page": page, "campaign": {"source": "ig", "medium": "social", "name": "sale"}})
    assert (found.source, found.medium, found.campaign) == ("ig", "social", "sale")


def test_path_and_referring_host_are_kept_without_query() -> None:
    found = event(context={"page": {"url": "https://s.example/p/1?token=secret#x", "referrer": "https://www.google.com/search?q=secret"}})
    assert (found.page_path, found.referrer) == ("/p/1", "google.com")


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        ("granted", "granted"), ("Denied", "denied"), (True, "granted"), (False, "denied"),
        ({"categoryPreferences": {"Advertising": True, "Analytics": False}}, "denied"), ({"Marketing": False, "statistics": True}, "granted"),
        ({"categoryPreferences": {"Advertising": True}}, "granted"), ({}, ""), (None, ""),
        ("declined", "denied"), ("No", "denied"), ("revoked", "denied"), ("opt-out", "denied"), ("accepted", "granted"), ("pending", "pending"),
        ({"analytics": "declined"}, "denied"), ({"analytics": "yes"}, "granted"), ({"necessary": True, "marketing": False}, "denied"),
        ({"C0001": True, "C0002": False, "C0004": True}, "denied"), ({"categoryPreferences": "nonsense"}, ""), ({"analytics": {"deep": 1}}, "denied"),
    ],
)  # fmt: skip
def test_consent_is_read_in_every_shape_and_enforced_where_the_project_asks(sent: Any, state: str) -> None:
    assert event(context={"consent": sent}).consent == state
    if state == "denied":
        assert drop(arrival(KeyInfo(project_id=7, salt="s", require_consent=True)), context={"consent": sent}) == "no_consent"


@pytest.mark.parametrize(
    ("allowed", "denied", "state"),
    [
        (["C0001", "C0002"], ["C0004"], "granted"), (["C0001", "C0004"], ["C0002"], "denied"), (["necessary"], [], "denied"), (["analytics"], None, "granted"),
        (["analytics"], ["analytics"], "denied"), (["purpose_7"], ["purpose_8"], "granted"), ([], ["purpose_8"], "denied"), ([], [], ""), ({"a": 1}, 5, ""),
    ],
)  # fmt: skip
def test_rudderstack_s_consent_management_is_read_and_enforced(allowed: Any, denied: Any, state: str) -> None:
    context = {"consentManagement": {"allowedConsentIds": allowed, "deniedConsentIds": denied, "provider": "oneTrust"}}
    assert event(context=context).consent == state
    if state == "denied":
        assert drop(arrival(KeyInfo(project_id=7, salt="s", require_consent=True)), context=context) == "no_consent"
    assert event(context={"consent": "granted", **context}).consent == "granted"


def test_opt_out_signals_count_where_the_project_honours_them() -> None:
    strict = KeyInfo(project_id=7, salt="s", honour_dnt=True, honour_gpc=True)
    lax = KeyInfo(project_id=7, salt="s", honour_dnt=False, honour_gpc=False)
    for header in ({"dnt": "1"}, {"sec_gpc": "1"}):
        assert drop(arrival(strict, **header)) == "do_not_track"
        assert event(arrival(lax, **header)).name == "E"


def test_excluded_addresses_and_tests_are_stored_but_marked() -> None:
    office = KeyInfo(project_id=7, salt="s", excluded_addresses=("203.0.113.0/24", "2001:db8::1"))
    assert event(arrival(office, peer="203.0.113.9")).test
    assert event(arrival(office), context={"ip": "2001:db8::1"}).test
    assert not event(arrival(office, peer="203.0.114.9")).test
    assert event(test=True).test
    assert event(properties={"test": True}).test


def test_ids_are_keyed_hashes_that_differ_between_projects() -> None:
    found = event(anonymousId="anna@example.com", userId=42)
    assert len(found.visitor_id) == len(found.user_id) == 16
    assert event(anonymousId="anna@example.com").visitor_id == found.visitor_id
    assert event(userId="42").user_id == found.user_id
    assert event(arrival(KeyInfo(project_id=8, salt="other")), anonymousId="anna@example.com").visitor_id != found.visitor_id
    assert made({"type": "track", "event": "E", "userId": "42"}).visitor_id == found.user_id


def test_nothing_personal_reaches_the_stored_line() -> None:
    key = KeyInfo(project_id=7, salt="s", property_deny_list=frozenset({"nickname"}))
    sent = {
        "type": "track", "event": "Contact anna@example.com", "anonymousId": "anna-id", "userId": "anna-user",
        "traits": {"name": "Anna Trait"},
        "context": {"ip": "198.51.100.77", "traits": {"email": "t@example.com"},
                    "page": {"url": "https://s.example/u/anna@example.com?mail=anna@example.com", "referrer": "https://x.example/?q=anna@example.com"},
                    "campaign": {"source": "anna@example.com"}},
        "properties": {"email": "anna@example.com", "Phone": "0151 2345", "nickname": "Annie", "inner": [{"first_name": "Anna", "NickName": "Annie"}],
                       "note": "call +49 151 2345678 or pay 4111 1111 1111 1111", "coupon": "anna@example.com", "payment_method": "4111111111111111"},
    }  # fmt: skip
    line = encode_lines([read_one(msgspec.json.encode(sent), arrival(key, peer="198.51.100.78"))]).decode().lower()
    for secret in ("anna", "annie", "198.51.100", "t@example.com", "0151", "2345678", "4111"):
        assert secret not in line, secret
    assert "[card]" in line
    assert "[phone]" in line
    assert "[email]" in line


CARDS = {
    "Visa": "4111111111111111", "Visa of 19 digits": "4000000000000000006", "Mastercard": "5555555555554444", "Mastercard of 2017": "2223003122003222",
    "American Express": "378282246310005", "Diners": "30569309025904", "Discover": "6011111111111117", "JCB": "3530111333300000",
    "Maestro": "6759649826438453", "UnionPay": "6200000000000005",
}  # fmt: skip


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_leaves_in_whatever_way_it_is_written(card: str) -> None:
    for written in (card, f"no. {card[:4]}-{card[4:10]}-{card[10:]}" if len(card) < 19 else card, f"paid with {card}.", f"card:{card}, thanks"):
        found = event(properties={"note": written, written: 1, "deep": [{"n": written}], "sentence": f"{written} 12/27"}, payment=1)
        assert card[-4:] not in found.properties, written
        assert "[card]" in found.properties
    assert event(properties={"payment_method": int(card), "coupon": card}).payment_method == "[card]"


def test_numbers_that_only_look_like_cards_stay() -> None:
    for text in ("4111111111111112", "1700000000000", "order 4501234567890", "12345678901234567890123", "3.14159265358979323846", "4111111111111111.50"):
        assert scrub(text) == text
    assert event(event="purchase", properties={"order_id": "4111111111111111"}).order_id == "4111111111111111"


@pytest.mark.parametrize(
    "phone",
    [
        "+49 151 2345678", "+1 (555) 234-5678", "(555) 234-5678", "(555)234-5678", "555-234-5678", "555.234.5678", "0151 23456789", "0151/2345678",
        "06 12 34 56 78", "020 7946 0958", "07700 900123", "(030) 1234567", "0049 151 2345678", "02-345-67890",
    ],
)  # fmt: skip
def test_a_phone_number_leaves_as_people_write_it(phone: str) -> None:
    for note in (phone, f"call\n{phone}, please", f"Tel.: {phone}."):
        found = event(properties={"note": note, "coupon": note})
        assert json.loads(found.properties)["note"] == note.replace(phone, "[phone]")
        assert found.coupon == note.replace(phone, "[phone]")


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-01 10:00:00", "01-02-2026 10:15", "01/02/2026 5 items", "01.02.2026 10:15", "1 234 567,89", "1,234,567.89", "0306406152", "012345678905",
        "123-4567890-1234567", "550e8400-e29b-41d4-a716-446655440000", "10.0.0.1", "1920x1080", "0.12345678", "SKU-0151-234567", "1717243200000", "0000 0012 3456",
        "200 300 4000", "0151 234", "2026-0123456", "192.168.100.2000",
    ],
)  # fmt: skip
def test_dates_amounts_and_ids_are_no_phone_numbers(text: str) -> None:
    found = event(properties={"note": text, "coupon": text})
    assert (json.loads(found.properties)["note"], found.coupon) == (text, text)


def test_ids_of_articles_stay_though_every_tenth_looks_like_a_card() -> None:
    for variant in ("44012345678901", "39277939294295", "30569309025904", "4111111111111111"):
        for sent in (variant, int(variant)):
            line = {"item_id": sent, "price": 5}
            for found in (event(event="add_to_cart", properties={"items": [line]}), event(event="Product Viewed", properties={"sku": sent})):
                assert [item.sku for item in found.items] == [variant]
            assert json.loads(event(properties={"items": [line], "sku": sent}).properties) == {"items": [line], "sku": sent}
    assert event(properties={"sku": "anna@example.com"}).items[0].sku == "[email]"
    for text in ("44012345678901", "gid://shopify/ProductVariant/44012345678901"):
        assert scrub(text) == text


def test_a_number_that_is_scrubbed_leaves_json() -> None:
    found = event(properties={"n": 4111111111111111, "f": 4111111111111111.0, "ok": "yes", "list": [4111111111111111, 5]})
    assert json.loads(found.properties) == {"n": "[card]", "f": "[card]", "ok": "yes", "list": ["[card]", 5]}
    assert json.loads(event(properties={"note": "write to\nanna@example.com"}).properties) == {"note": "write to\n[email]"}


def test_addresses_in_properties_are_kept_without_their_queries() -> None:
    sent = {
        "url": "https://s.example/cart?token=SECRET&a=(b)#SECRET", "search": "?token=SECRET", "path": "/cart?token=SECRET", "referrer": "https://x.example/#t=SECRET",
        "stack": "at f (https://s.example/a.js?v=SECRET:10:5)\nat https://s.example/b.js?SECRET:1:2", "message": "GET 'https://s.example/x?t=SECRET', failed",
        "question": "which size? 42", "colour": "#ff0000", "tags": ["a?b"], "images": ["https://s.example/i.png?SECRET"],
    }  # fmt: skip
    expected = sent | {
        "url": "https://s.example/cart", "search": "", "path": "/cart", "referrer": "https://x.example/",
        "stack": "at f (https://s.example/a.js:10:5)\nat https://s.example/b.js:1:2", "message": "GET 'https://s.example/x', failed",
        "images": ["https://s.example/i.png"],
    }  # fmt: skip
    assert json.loads(event(properties=sent).properties) == expected
    page = {"page_location": "https://s.example/p?token=SECRET", "page_title": "P"}
    assert json.loads(event(event="page_view", properties=page).properties) == {"page_location": "https://s.example/p", "page_title": "P"}


def test_one_field_of_the_wrong_type_costs_that_field_only() -> None:
    context = {"app": {"version": {"major": 1}}, "page": {"url": 5, "path": "/p"}, "userAgent": IPHONE, "experiments": ["x"]}
    found = event(context=context, channel=5)
    assert (found.device, found.page_path, found.app_version, found.variants) == ("mobile", "/p", "", ())
    assert event(context="nonsense", properties=[1]).name == "E"
    assert drop(event={"a": 1}) == "missing_event"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "track"}, "missing_event"), ({"type": "track", "event": "  "}, "missing_event"), ({"type": "track", "event": "x" * 201}, "invalid_value"),
        ({"type": "nonsense"}, "invalid_type"), ({"type": "track", "event": "E", "anonymousId": None}, "missing_identity"),
        ({"type": "track", "event": "E", "anonymousId": "", "userId": ""}, "missing_identity"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_event_is_dropped_with_its_reason(message: dict[str, Any], reason: str) -> None:
    found = made({"anonymousId": "v", **message})
    assert isinstance(found, Drop)
    assert found.reason == reason


def test_a_shared_context_is_worked_out_once_and_gives_what_each_alone_would_get() -> None:
    messages = [{"type": "track", "event": f"E{n}", "anonymousId": "v", "messageId": str(n), "context": {"userAgent": IPHONE, "sessionId": 5}} for n in range(3)]
    together, _ = to_events(messages, arrival())
    assert together == [to_events([message], arrival())[0][0] for message in messages]


def test_variants_and_version_and_numeric_session_come_through() -> None:
    found = event(context={"app": {"version": 3}, "experiments": {"button": "B", "price": {"x": 1}}, "sessionId": 1717243200000})
    assert found.app_version == "3"
    assert found.variants == ("button:B", "price:")
    assert found.session_id == f"{found.visitor_id}.1717243200000"


def test_a_client_that_names_itself_as_the_app_says_nothing_of_the_shop_s_release() -> None:
    itself = {"name": "RudderLabs JavaScript SDK", "version": "3.34.1"}
    assert event(context={"app": itself, "library": itself}).app_version == ""
    assert event(context={"app": {"name": "Shop", "version": "7"}, "library": itself}).app_version == "7"


JSON = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)  # fmt: skip


CARD = st.sampled_from([*CARDS.values()])
AROUND = st.text(st.characters(exclude_categories=("Cs", "Nd")))
WRITTEN = st.tuples(AROUND, CARD, AROUND).map("".join)
HOLDER = st.one_of(CARD.map(int), CARD.map(float), CARD.map(lambda card: -int(card)), WRITTEN)


@given(st.recursive(HOLDER | JSON, lambda inner: st.lists(inner) | st.dictionaries(AROUND | WRITTEN, inner), max_leaves=10))
def test_properties_are_always_json_and_hold_no_card(value: Any) -> None:
    stored = event(properties={"p": value}).properties
    json.loads(stored)
    assert not any(card in stored for card in CARDS.values())


@given(st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), JSON))
def test_any_properties_and_context_make_an_event_that_survives_the_spool(properties: dict[str, Any], context: dict[str, Any]) -> None:
    draft = read_one(msgspec.json.encode({"type": "track", "event": "E", "anonymousId": "v", "properties": properties, "context": context}), arrival())
    (row,) = decode_lines(encode_lines([draft]))
    assert len(row) == len(FIELDS)
    assert to_event(row).project_id == 7
