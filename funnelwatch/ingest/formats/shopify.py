"""Shopify orders (Admin API's Order resource) as JSONL: each order a purchase seen by the server, each refund a refund."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from funnelwatch.ingest.formats import Message, Reject
from funnelwatch.ingest.formats.jsonlines import objects
from funnelwatch.ingest.formats.source import Source


def read(source: Source, mapping: Path | None = None) -> Iterator[Message | Reject]:
    """A purchase an order and a refund event a refund. Orders without an id or a time are rejected."""
    for row in objects(source):
        if isinstance(row, Reject):
            yield row
            continue
        line, order = row
        try:
            yield from _messages(order, line.decode())
        except (AttributeError, TypeError, ValueError, KeyError):
            yield Reject("unexpected_shape", line.decode())


def _messages(order: dict[str, Any], line: str) -> list[Message | Reject]:
    if not order.get("id"):
        return [Reject("missing_order_id", line)]
    if not (order.get("processed_at") or order.get("created_at")):
        return [Reject("invalid_time", line)]
    return [_purchase(order), *(_refund(order, refund) for refund in order.get("refunds") or ())]


def _purchase(order: dict[str, Any]) -> Message:
    properties = {
        "order_id": str(order["id"]),
        "value": order.get("total_price"),
        "currency": order.get("currency"),
        "coupon": _first(order.get("discount_codes"), "code"),
        "payment_provider": next(iter(order.get("payment_gateway_names") or ()), None),
        "shipping_method": _first(order.get("shipping_lines"), "title"),
        "products": [_product(line) for line in order.get("line_items") or ()],
    }
    return _message(
        order, "purchase", f"shopify-order-{order['id']}", order.get("processed_at") or order["created_at"], properties
    )


def _refund(order: dict[str, Any], refund: dict[str, Any]) -> Message:
    amounts = [
        float(transaction["amount"])
        for transaction in refund.get("transactions") or ()
        if transaction.get("kind") == "refund" and transaction.get("amount")
    ]
    lines = [line.get("line_item") or {} for line in refund.get("refund_line_items") or ()]
    properties = {
        "order_id": str(order["id"]),
        "value": round(sum(amounts), 2),
        "currency": order.get("currency"),
        "products": [_product(line) for line in lines],
    }
    at = refund.get("processed_at") or refund.get("created_at") or order.get("updated_at") or order["created_at"]
    return _message(order, "refund", f"shopify-refund-{refund.get('id')}", at, properties)


def _message(order: dict[str, Any], event: str, message_id: str, at: str, properties: dict[str, Any]) -> Message:
    client = order.get("client_details") or {}
    address = order.get("shipping_address") or order.get("billing_address") or {}
    context = {
        "library": {"name": "shopify"},
        "userAgent": client.get("user_agent"),
        "ip": client.get("browser_ip") or order.get("browser_ip"),
        "location": {"country": address.get("country_code"), "region": address.get("province_code")},
        "page": {"url": order.get("landing_site"), "referrer": order.get("referring_site")},
    }
    message: Message = {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "timestamp": at,
        "channel": "server",
        "anonymousId": str(order.get("checkout_token") or f"order-{order['id']}"),
        "properties": {key: value for key, value in properties.items() if value is not None},
        "context": {key: value for key, value in context.items() if value is not None},
    }
    if customer := (order.get("customer") or {}).get("id"):
        message["userId"] = str(customer)
    if order.get("test"):
        message["test"] = True
    return message


def _product(line: dict[str, Any]) -> dict[str, Any]:
    product = {
        "sku": line.get("sku") or str(line.get("product_id") or ""),
        "product_id": line.get("product_id"),
        "name": line.get("title"),
        "quantity": line.get("quantity"),
        "price": line.get("price"),
    }
    return {key: value for key, value in product.items() if value is not None}


def _first(rows: Any, key: str) -> Any:
    return rows[0].get(key) if rows else None
