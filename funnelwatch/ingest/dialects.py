"""Other wire formats turned into Segment-shaped messages: GA4's Measurement Protocol and Shopify's web pixel."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

#: `type` of a web pixel event.
SHOPIFY_TYPES = (None, "standard", "custom", "dom")

#: What `data` of a web pixel event holds that is read field by field, because the rest of it is personal or without use.
_SHOPIFY_OBJECTS = frozenset(("checkout", "cart", "cartLine", "productVariant", "collection", "searchResult", "alert"))


def from_ga4(document: Json, received_at: int) -> list[Json]:
    """The messages of one `/mp/collect` body. Raises ValueError when `events` is no list of objects.

    GA4 events have no id, so identity is a hash of content; without `timestamp_micros` the time of receipt is part of it,
    because two equal clicks are two clicks.
    """
    events = document.get("events")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise ValueError("`events` must be a list of objects")
    return [_ga4_event(event, document, received_at) for event in events]


def _ga4_event(event: Json, document: Json, received_at: int) -> Json:
    params = dict(_object(event.get("params")))
    micros = event.get("timestamp_micros", document.get("timestamp_micros"))
    try:
        timestamp: int | None = int(micros) // 1000
    except (TypeError, ValueError):
        timestamp = None
    location, device = _object(document.get("user_location")), _object(document.get("device"))
    region = location.get("region_id")
    return {
        "type": "track",
        "event": event.get("name"),
        "anonymousId": document.get("client_id") or document.get("app_instance_id"),
        "userId": document.get("user_id"),
        "timestamp": timestamp,
        "receipt": None if timestamp else received_at,
        "properties": params,
        "context": {
            "page": {"url": params.get("page_location"), "referrer": params.get("page_referrer")},
            "sessionId": params.pop("ga_session_id", None) or params.pop("session_id", None),
            "userAgent": document.get("user_agent"),
            "ip": document.get("ip_override"),
            "location": {"country": location.get("country_id"), "region": region.split("-")[-1] if isinstance(region, str) else None},
            "device": {"type": device.get("category")},
            "os": {"name": device.get("operating_system"), "version": device.get("operating_system_version")},
            "browser": {"name": device.get("browser"), "version": device.get("browser_version")},
            "campaign": {name: params.get(name if name != "name" else "campaign") for name in ("source", "medium", "name")},
        },
    }


def is_shopify(document: Any) -> bool:
    """Whether a message is a web pixel event as Shopify hands it to the pixel's subscriber."""
    return isinstance(document, dict) and "clientId" in document and "name" in document and "anonymousId" not in document


def from_shopify(event: Json) -> Json:
    """One web pixel event. Fields that are not there stay out; nothing is required but its name and client id."""
    context, data = _object(event.get("context")), _object(event.get("data"))
    page = _object(_object(context.get("document")).get("location"))
    rest = {name: value for name, value in data.items() if name not in _SHOPIFY_OBJECTS}
    if event.get("type") == "dom":
        rest = _without_typed(rest)
    name, properties = event.get("name"), _shopify_properties(data)
    if name == "alert_displayed":
        name, properties = _alert(_object(data.get("alert")))
    return {
        "type": "track",
        "event": name,
        "messageId": event.get("id"),
        "anonymousId": event.get("clientId"),
        "timestamp": event.get("timestamp"),
        "properties": rest | properties | _object(event.get("customData")),
        "context": {
            "library": {"name": "shopify-web-pixel"},
            "page": {"url": page.get("href"), "referrer": _object(context.get("document")).get("referrer")},
            "userAgent": _object(context.get("navigator")).get("userAgent"),
        },
    }


def _shopify_properties(data: Json) -> Json:
    properties: Json = {}
    checkout, cart = _object(data.get("checkout")), _object(data.get("cart"))
    if checkout:
        properties |= _checkout(checkout)
    elif cart:
        properties |= _money(_object(cart.get("cost")).get("totalAmount"))
        properties["items"] = [_cart_line(line) for line in _objects(cart.get("lines"))]
    elif line := _object(data.get("cartLine")):
        properties |= _money(_object(line.get("cost")).get("totalAmount"))
        properties["items"] = [_cart_line(line)]
    elif variant := _object(data.get("productVariant")):
        properties |= _money(variant.get("price"))
        properties["items"] = [_variant(variant)]
    for name in ("collection", "searchResult"):
        if listing := _object(data.get(name)):
            properties["items"] = [_variant(variant) for variant in _objects(listing.get("productVariants"))]
            properties |= {key: listing[source] for key, source in (("list", "title"), ("search_term", "query")) if source in listing}
    return properties


def _alert(alert: Json) -> tuple[str, Json]:
    """Event and properties of what a shopper was told at checkout, as our own pixel sends it: what was typed stays out, unless it is the coupon."""
    said = {"code": str(alert.get("type") or "").lower(), "message": alert.get("message")}
    if "payment" in said["code"]:
        return "payment_failed", said
    if "discount" in said["code"]:
        return "coupon_rejected", said | {"coupon": alert.get("value")}
    if "inventory" in said["code"] or "merchandise" in said["code"]:
        return "out_of_stock", said | {"stock_state": "out_of_stock"}
    return "checkout_alert", said | {"target": alert.get("target")}


def _without_typed(value: Any) -> Any:
    """What a DOM event says of elements and forms, without the values people typed into them."""
    if isinstance(value, dict):
        return {name: _without_typed(inner) for name, inner in value.items() if name != "value"}
    return [_without_typed(inner) for inner in value] if isinstance(value, list) else value


def _checkout(checkout: Json) -> Json:
    options = _objects(_object(checkout.get("delivery")).get("selectedDeliveryOptions"))
    payments = _objects(checkout.get("transactions"))
    payment = _object(payments[0].get("paymentMethod")) if payments else {}
    discounts = _objects(checkout.get("discountApplications"))
    found = {
        "value": _object(checkout.get("totalPrice")).get("amount"),
        "currency": checkout.get("currencyCode"),
        "order_id": _bare_id(_object(checkout.get("order")).get("id")),
        "coupon": next((row.get("title") for row in discounts if row.get("type") == "DISCOUNT_CODE"), None),
        "shipping_method": next((row.get("title") for row in options), None),
        "payment_provider": next((row.get("gateway") for row in payments), None),
        "payment_method": payment.get("type") or payment.get("name"),
        "items": [_variant(_object(line.get("variant"))) | {"quantity": line.get("quantity", 1)} for line in _objects(checkout.get("lineItems"))],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _cart_line(line: Json) -> Json:
    return _variant(_object(line.get("merchandise"))) | {"quantity": line.get("quantity", 1)}


def _variant(variant: Json) -> Json:
    product = _object(variant.get("product"))
    return {
        "sku": variant.get("sku") or _bare_id(variant.get("id")),
        "price": _object(variant.get("price")).get("amount"),
        "category": product.get("type"),
    }


def _bare_id(given: Any) -> str:
    """The number alone: "gid://shopify/OrderIdentity/4501" and the webhook's 4501 are the same order."""
    return str(given or "").rsplit("/", 1)[-1]


def _money(price: Any) -> Json:
    price = _object(price)
    return {"value": price.get("amount"), "currency": price.get("currencyCode")} if price else {}


def _object(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Json]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
