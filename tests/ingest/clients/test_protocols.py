"""GA4's and Shopify's own formats over HTTP, through the faults their senders meet; the sender here repeats what had no success."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from funnelwatch.store.client import Client
from tests.ingest.clients.conftest import AlwaysOver
from tests.ingest.clients.proxy import Fault, Proxy
from tests.ingest.conftest import KEY, Node

FAULTS = {"normal": Fault(), "429 with Retry-After": Fault(busy=True), "500 twice": Fault(times=2, status=500), "reset after storing": Fault(reset=True)}
NOW = datetime.now(UTC).replace(microsecond=120_000)


@pytest.fixture(params=FAULTS.values(), ids=FAULTS)
def proxy(request: pytest.FixtureRequest, node: Node, tmp_path: Path, store: Client) -> Iterator[Proxy]:
    """Spoils the first deliveries of each event, and passes the others to the node."""
    busy = Node(tmp_path / "busy", store, node.project_id)
    busy.app._limit = AlwaysOver(1, 1)
    between = Proxy(node.url, busy.url, request.param)
    yield between
    between.close()
    busy.close()


def send(proxy: Proxy, path: str, document: dict[str, Any]) -> list[httpx.Response | None]:
    """Posts until it is taken, as a page does: as text, which needs no preflight. What each try brought; None where the connection broke."""
    answers: list[httpx.Response | None] = []
    while not answers or answers[-1] is None or answers[-1].status_code != 200:
        assert len(answers) < 4
        try:
            answers.append(httpx.post(f"{proxy.url}{path}", content=json.dumps(document), headers={"Content-Type": "text/plain"}))
        except httpx.TransportError:
            answers.append(None)
    return answers


def statuses(answers: list[httpx.Response | None]) -> list[int]:
    return [answer.status_code if answer else 0 for answer in answers]


EXPECTED = {Fault(): [200], Fault(busy=True): [429, 200], Fault(times=2, status=500): [500, 500, 200], Fault(reset=True): [0, 200]}


def test_ga4_events_with_a_time_are_stored_once_each_whatever_happens_on_the_way(proxy: Proxy, node: Node) -> None:
    item = {"item_id": "SKU-1042", "item_name": "Linen shirt", "item_category": "Shirts", "price": 39.5, "quantity": 2}
    shared = {"ga_session_id": "1772445600", "currency": "EUR", "value": 79.0, "items": [item]}
    document = {
        "client_id": "1155423.1772445",
        "user_id": "customer-881",
        "timestamp_micros": int(NOW.timestamp() * 1_000_000),
        "events": [
            {"name": "begin_checkout", "params": shared},
            {"name": "purchase", "params": {**shared, "transaction_id": "ORD-70041", "coupon": "SPRING10"}},
        ],
    }
    answers = send(proxy, f"/mp/collect?measurement_id=G-1&api_secret={KEY}", document)
    assert statuses(answers) == EXPECTED[proxy.fault]
    if proxy.fault.busy:
        assert answers[0].headers["Retry-After"] == "3"
    rows = {row["name"]: row for row in node.stored()}
    assert len(node.stored()) == 2
    assert {row["ts"] for row in rows.values()} == {NOW}
    assert {row["session_id"] for row in rows.values()} == {rows["purchase"]["session_id"]}
    order = rows["purchase"]
    assert (order["order_id"], order["value"], order["currency"], order["coupon"]) == ("ORD-70041", Decimal(79), "EUR", "SPRING10")
    assert rows["begin_checkout"]["item_sku"] == ["SKU-1042"]


VARIANT = {
    "id": "44012345678901",
    "sku": "SKU-1042",
    "title": "M",
    "price": {"amount": 39.5, "currencyCode": "EUR"},
    "product": {"id": "8123", "title": "Linen shirt", "vendor": "Northpine", "type": "Shirts", "url": "/products/linen-shirt"},
}
CHECKOUT = {
    "token": "c0ffee",
    "currencyCode": "EUR",
    "totalPrice": {"amount": 84.0, "currencyCode": "EUR"},
    "lineItems": [{"id": "1", "quantity": 2, "title": "Linen shirt", "variant": VARIANT}],
    "discountApplications": [{"type": "DISCOUNT_CODE", "title": "SPRING10"}],
    "delivery": {"selectedDeliveryOptions": [{"title": "Express", "handle": "express"}]},
}
PAID = {
    **CHECKOUT,
    "order": {"id": "gid://shopify/OrderIdentity/70041"},
    "transactions": [{"gateway": "shopify_payments", "paymentMethod": {"name": "visa", "type": "creditCard"}}],
}
LINE = {"merchandise": VARIANT, "quantity": 2, "cost": {"totalAmount": {"amount": 79.0, "currencyCode": "EUR"}}}
SHOPIFY = {
    "page_viewed": ({}, "page_view"),
    "product_viewed": ({"productVariant": VARIANT}, "view_item"),
    "product_added_to_cart": ({"cartLine": LINE}, "add_to_cart"),
    "cart_viewed": ({"cart": {"lines": [LINE], "cost": LINE["cost"]}}, "view_cart"),
    "checkout_started": ({"checkout": CHECKOUT}, "begin_checkout"),
    "payment_info_submitted": ({"checkout": CHECKOUT}, "add_payment_info"),
    "checkout_completed": ({"checkout": PAID}, "purchase"),
}


def pixel_event(name: str, number: int) -> dict[str, Any]:
    """As Shopify hands it to a pixel's subscriber."""
    href = "https://shop.example/checkouts/c0ffee?utm_source=ig&utm_medium=social"
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
    return {
        "id": f"sh-{number:08d}",
        "name": name,
        "type": "standard",
        "seq": number,
        "clientId": "b8f1c0de-0000-4000-8000-000000000001",
        "timestamp": NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "context": {
            "document": {"location": {"href": href, "pathname": "/checkouts/c0ffee"}, "referrer": "https://shop.example/cart", "title": "Checkout"},
            "navigator": {"language": "de-DE", "cookieEnabled": True, "userAgent": agent},
            "window": {"innerWidth": 390, "innerHeight": 844},
        },
        "data": SHOPIFY[name][0],
    }


def test_raw_web_pixel_events_are_stored_once_each_whatever_happens_on_the_way(proxy: Proxy, node: Node) -> None:
    for number, name in enumerate(SHOPIFY):
        assert statuses(send(proxy, "/v1/track", {**pixel_event(name, number), "writeKey": KEY})) == EXPECTED[proxy.fault]
    rows = {row["name"]: row for row in node.stored()}
    assert len(node.stored()) == len(SHOPIFY)
    assert set(rows) == {name for _, name in SHOPIFY.values()}
    for name in ("view_item", "add_to_cart", "view_cart", "begin_checkout", "purchase"):
        assert (rows[name]["item_sku"], rows[name]["item_category"]) == (["SKU-1042"], ["Shirts"]), name
    assert {name: rows[name]["value"] for name in ("view_item", "add_to_cart", "begin_checkout")} == {
        "view_item": Decimal("39.5"), "add_to_cart": Decimal(79), "begin_checkout": Decimal(84),
    }  # fmt: skip
    order = rows["purchase"]
    assert (order["order_id"], order["value"], order["currency"], order["coupon"]) == ("70041", Decimal(84), "EUR", "SPRING10")
    assert (order["payment_provider"], order["payment_method"], order["shipping_method"]) == ("shopify_payments", "creditCard", "Express")
    for row in rows.values():
        assert (row["ts"], row["device"], row["source"], row["medium"]) == (NOW, "mobile", "ig", "social")
        assert row["page_path"] == "/checkouts/c0ffee"
    assert len({row["visitor_id"] for row in rows.values()}) == 1
