"""WooCommerce: an order in each of its states. The status in the signed body says what happened, not the topic's header."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from funnelwatch.changes.connector import Parsed, server_event
from funnelwatch.core import signatures

#: On hold is a bank transfer awaited: the shopper has ordered.
_ORDERED = ("processing", "on-hold", "completed", "refunded")


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """`X-WC-Webhook-Signature`: base64. The unsigned ping of a new webhook tells nothing and is let through."""
    if not is_ping(body):
        signatures.require_equal(headers.get("x-wc-webhook-signature", ""), signatures.base64_digest(secret, body))


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Purchase, refunds, a cancelled paid order, a failed payment. Every later update of the order repeats the same messages.

    But for the purchase they are dated by the update that tells of them: an order does not say when it was refunded.
    """
    if is_ping(body):
        return Parsed()
    order = json.loads(body)
    status = order.get("status", "")
    refunds = order.get("refunds") or []
    events = [
        _event(order, "refund", f"refund-{refund['id']}", "date_modified_gmt", value=abs(float(refund["total"])))
        for refund in refunds
    ]
    if status == "cancelled" and order.get("date_paid_gmt"):
        left = Decimal(order["total"]) + sum((Decimal(refund["total"]) for refund in refunds), Decimal(0))
        if left > 0:
            events.append(_event(order, "refund", "cancelled", "date_modified_gmt", value=float(left)))
    if status == "failed":
        events.append(
            _event(order, "payment_failed", "failed", "date_modified_gmt", value=float(order["total"]), code="failed")
        )
    once = frozenset(event["messageId"] for event in events)
    return Parsed(events=[_purchase(order), *events] if status in _ORDERED else events, once=once)


def delivery_id(headers: Mapping[str, str]) -> str:
    """Absent on purpose: WooCommerce makes a new id for every try, the signed body tells repeats apart."""
    return ""


def is_ping(body: bytes) -> bool:
    """What WooCommerce posts when a webhook is saved: `webhook_id=12`, unsigned."""
    return body.startswith(b"webhook_id=") and body[11:].isdigit()


def _purchase(order: dict[str, Any]) -> dict[str, Any]:
    coupons, shipping = order.get("coupon_lines"), order.get("shipping_lines")
    return _event(
        order,
        "purchase",
        "purchase",
        "date_created_gmt",
        value=float(order["total"]),
        coupon=coupons[0]["code"] if coupons else "",
        shipping_method=shipping[0]["method_title"] if shipping else "",
        items=[_item(line) for line in order.get("line_items") or ()],
    )


def _event(order: dict[str, Any], name: str, what: str, time_field: str, **properties: Any) -> dict[str, Any]:
    number = str(order["id"])
    common = {"order_id": number, "currency": order["currency"], "payment_method": order.get("payment_method", "")}
    agent, country = order.get("customer_user_agent"), (order.get("billing") or {}).get("country")
    context = ({"userAgent": agent} if agent else {}) | ({"location": {"country": country}} if country else {})
    customer = order.get("customer_id")
    person = str(customer) if customer else f"order-{number}"
    return server_event(
        "woocommerce", name, f"woocommerce-{number}-{what}", order[time_field], person, common | properties, context
    )


def _item(line: dict[str, Any]) -> dict[str, Any]:
    sku = line.get("sku") or line.get("variation_id") or line.get("product_id") or line.get("name", "")
    return {"sku": str(sku), "name": line.get("name", ""), "quantity": line["quantity"], "price": float(line["price"])}
