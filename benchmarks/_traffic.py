"""Shop traffic as Segment batches: many visitors, agents and pages, so that no cache has it easier than in a shop."""

import json
import random
from collections.abc import Iterator

_AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS {v}_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{v}.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android {v}; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{v}.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{v}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{v}.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:1{v}.0) Gecko/20100101 Firefox/1{v}.0",
)
_STEPS = (
    ("page_view", 40), ("view_item", 25), ("add_to_cart", 12), ("view_cart", 8), ("begin_checkout", 6), ("add_shipping_info", 4),
    ("add_payment_info", 3), ("purchase", 2),
)  # fmt: skip
_QUERIES = ("", "", "", "?utm_source=instagram&utm_medium=paid_social&utm_campaign=ig_sale", "?gclid=Cj0KCQ", "?utm_source=news&utm_medium=email&utm_campaign=w42")
_REFERRERS = ("", "", "https://www.google.com/", "https://l.instagram.com/", "https://shop.example/")


#: Stands in each message id; a sender replaces it by something new for every body, which costs it next to nothing.
PLACE = b"@@@@@@@@@@@@@@@@"


def batches(size: int, count: int, seed: int = 1, visitors: int = 20_000) -> Iterator[bytes]:
    """`count` bodies for `POST /v1/batch` with `size` events each, about 900 bytes an event, with PLACE in their message ids."""
    rng = random.Random(seed)
    names, weights = zip(*_STEPS, strict=True)
    for _ in range(count):
        visitor, agent = rng.randrange(visitors), rng.choice(_AGENTS).format(v=rng.randrange(10, 40))
        query, referrer = rng.choice(_QUERIES), rng.choice(_REFERRERS)
        events = []
        while len(events) < size:  # a page view and what happens on that page: one context, as the clients send it
            context, actions = _context(rng, visitor, agent, query, referrer), rng.choices(names, weights, k=3)
            events += [_event(rng, name, visitor, context, len(events) + n) for n, name in enumerate(actions[: size - len(events)])]
        yield json.dumps({"batch": events, "sentAt": _stamp(len(events))}).encode()


def _event(rng: random.Random, name: str, visitor: int, context: dict[str, object], second: int) -> dict[str, object]:
    product = rng.randrange(2_000)
    properties: dict[str, object] = {}
    if name != "page_view":
        items = [
            {"item_id": f"SKU-{product}", "item_name": f"Product {product}", "item_category": f"Category {product % 40}", "price": 19.9, "quantity": 1}
        ]
        properties = {"currency": "EUR", "value": 19.9, "items": items, "list_position": product % 30}
    if name == "purchase":
        properties |= {"transaction_id": f"O-{rng.getrandbits(40)}", "payment_type": "card", "payment_provider": "stripe", "shipping_tier": "standard"}
    return {
        "messageId": f"{PLACE.decode()}-{second:04d}",
        "type": "track",
        "event": name,
        "timestamp": _stamp(second),
        "anonymousId": f"5b7c8d9e-0a1b-4c2d-8e3f-{visitor:012x}",
        "properties": properties,
        "context": context,
    }


def _context(rng: random.Random, visitor: int, agent: str, query: str, referrer: str) -> dict[str, object]:
    path = f"/p/{rng.randrange(2_000)}"
    return {
        "library": {"name": "funnelwatch-browser", "version": "1.0.0"},
        "page": {"url": f"https://shop.example{path}{query}", "path": path, "title": "A page of the shop", "referrer": referrer},
        "userAgent": agent,
        "locale": "en-IE",
        "sessionId": f"0f3a2c9e-6a2b-4f0e-8c77-{visitor:012x}",
        "campaign": {"source": "instagram", "medium": "paid_social", "name": "ig_sale"},
        "experiments": {"checkout_button": "B"},
        "consent": "granted",
        "app": {"version": "2026.3.1"},
        "ip": f"49.36.{visitor % 250}.{visitor // 250 % 250}",
    }


def _stamp(second: int) -> str:
    """Made long before it is sent, which the correction by `sentAt` takes out."""
    return f"2026-01-01T10:{second // 60:02d}:{second % 60:02d}.{second % 1000:03d}Z"
