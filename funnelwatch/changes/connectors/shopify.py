"""Shopify: orders, cancellations and refunds as events from a server; a published theme as a deploy.

The topic stands in a header that the signature does not cover, so each reader asks the signed body whether it is true.
`orders/create` and `orders/paid` give the same message: whichever comes first counts, once.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from funnelwatch.changes.connector import Parsed, server_event, utc
from funnelwatch.core import signatures


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """`X-Shopify-Hmac-SHA256`: base64."""
    signatures.require_equal(headers.get("x-shopify-hmac-sha256", ""), signatures.base64_digest(secret, body))


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """By topic; others tell nothing."""
    content = json.loads(body)
    shop = headers.get("x-shopify-shop-domain", "")
    match headers.get("x-shopify-topic", ""):
        case "orders/create" | "orders/paid":
            return Parsed(events=[_purchase(content, shop)])
        case "orders/cancelled":
            return Parsed(events=_cancellation(content))
        case "refunds/create":
            return Parsed(events=_refund(content))
        case "themes/publish":
            return Parsed(changes=[_theme(content, shop)])
    return Parsed()


def delivery_id(headers: Mapping[str, str]) -> str:
    """The event's id, the same for retries and for several subscriptions to one topic."""
    return headers.get("x-shopify-event-id", "")


def _purchase(order: dict[str, Any], shop: str) -> dict[str, Any]:
    number = str(order["id"])
    codes, shipping, gateways = (
        order.get("discount_codes"),
        order.get("shipping_lines"),
        order.get("payment_gateway_names"),
    )
    properties = {
        "order_id": number,
        "currency": order["currency"],
        "value": float(order["total_price"]),
        "coupon": codes[0]["code"] if codes else "",
        "shipping_method": shipping[0]["title"] if shipping else "",
        "payment_provider": gateways[0] if gateways else "",
        "items": [_item(line) for line in order.get("line_items") or ()],
    }
    at = order.get("processed_at") or order["created_at"]
    event = server_event(
        "shopify", "purchase", f"shopify-{number}-purchase", at, _buyer(order), properties, _context(order, shop)
    )
    return event | ({"test": True} if order.get("test") else {})


def _cancellation(order: dict[str, Any]) -> list[dict[str, Any]]:
    """What the refunds sent apart do not give back."""
    if not order.get("cancelled_at"):
        raise ValueError("the order of orders/cancelled has no cancelled_at")
    returned = sum((_returned(refund) for refund in order.get("refunds") or ()), Decimal(0))
    left = Decimal(order["total_price"]) - returned
    if left <= 0:
        return []
    number = str(order["id"])
    properties = {
        "order_id": number,
        "currency": order["currency"],
        "value": float(left),
        "reason": order.get("cancel_reason"),
    }
    return [
        server_event(
            "shopify", "refund", f"shopify-{number}-cancelled", order["cancelled_at"], _buyer(order), properties
        )
    ]


def _refund(refund: dict[str, Any]) -> list[dict[str, Any]]:
    amount, number = _returned(refund), str(refund["order_id"])
    if amount <= 0:
        return []
    properties = {"order_id": number, "currency": refund["transactions"][0]["currency"], "value": float(amount)}
    return [
        server_event(
            "shopify", "refund", f"shopify-refund-{refund['id']}", refund["created_at"], f"order-{number}", properties
        )
    ]


def _returned(refund: dict[str, Any]) -> Decimal:
    done = (row for row in refund.get("transactions") or () if row["kind"] == "refund" and row["status"] == "success")
    return sum((Decimal(row["amount"]) for row in done), Decimal(0))


def _theme(theme: dict[str, Any], shop: str) -> dict[str, Any]:
    if theme.get("role") != "main":
        raise ValueError("the theme of themes/publish is not the main one")
    return {
        "kind": "deploy",
        "title": f"Theme {theme['name']} published"[:300],
        "started_at": utc(theme["updated_at"]),
        "source": "shopify",
        "external_id": f"theme-{theme['id']}-{theme['updated_at']}",
        "url": f"https://{shop}/admin/themes/{theme['id']}" if shop else "",
    }


def _item(line: dict[str, Any]) -> dict[str, Any]:
    sku = line.get("sku") or line.get("variant_id") or line.get("product_id") or line.get("title", "")
    return {"sku": str(sku), "name": line.get("title", ""), "quantity": line["quantity"], "price": float(line["price"])}


def _buyer(order: dict[str, Any]) -> str:
    customer = (order.get("customer") or {}).get("id")
    return str(customer) if customer else f"order-{order['id']}"


def _context(order: dict[str, Any], shop: str) -> dict[str, Any]:
    """Device and origin of the buyer's browser as Shopify saw it, without the address it came from."""
    address = order.get("shipping_address") or order.get("billing_address") or {}
    agent, landing = (order.get("client_details") or {}).get("user_agent"), order.get("landing_site") or ""
    context: dict[str, Any] = {"userAgent": agent} if agent else {}
    if address.get("country_code"):
        context["location"] = {"country": address["country_code"]}
    if landing.startswith("/") and shop:
        context["page"] = {"url": f"https://{shop}{landing}", "referrer": order.get("referring_site") or ""}
    return context
