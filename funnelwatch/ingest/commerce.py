"""Money, order, cart lines and the other properties that have a column of their own."""

from math import isfinite
from typing import Any

from funnelwatch.core.events import Item
from funnelwatch.core.vocabulary import CANONICAL_EVENTS
from funnelwatch.ingest import vocabulary
from funnelwatch.ingest.privacy import scrub

_CANONICAL = frozenset(CANONICAL_EVENTS)
_MOST_TEXT = 200
_MOST_ITEMS = 500
_MOST_AMOUNT = 1e12  # more than any order; keeps hostile exponents out of decimals


def read_properties(draft: Any, properties: dict[str, Any]) -> dict[str, Any]:
    """Fill the draft's commerce fields; the properties that remain to be stored as they are.

    A custom event keeps all its properties, a canonical one those without a column.
    """
    winners: dict[str, tuple[int, str]] = {}
    for name in properties:
        target = vocabulary.PROPERTIES.get(name)
        if target is not None:
            field, rank = target
            best = winners.get(field)
            if best is None or rank < best[0]:
                winners[field] = (rank, name)
    taken = set()
    for field, (_, name) in winners.items():
        value = _READERS.get(field, text)(properties[name])
        if value not in ("", None):
            setattr(draft, field, value)
            taken.add(name)
    draft.items, source = _items(properties)
    if draft.name not in _CANONICAL:
        return properties
    if source:
        taken.add(source)
    if len(taken) == len(properties):
        return {}
    return {name: value for name, value in properties.items() if name not in taken}


def text(value: Any) -> str:
    """Short text of a scalar, scrubbed; empty for anything else."""
    if value.__class__ is str:
        value = value.strip()[:_MOST_TEXT]
        # Shorter text holds neither an address nor a card number.
        return scrub(value) if len(value) > 5 else value
    return "" if value is None or isinstance(value, dict | list) else str(value)[:_MOST_TEXT]


def amount(value: Any) -> str | None:
    """Decimal text of an amount, as sent; None when it is none."""
    if value.__class__ is str:
        try:
            value = float(value.replace(",", "") if value.count(".") == 1 else value)
        except ValueError:
            return None
    if value.__class__ not in (int, float) or not isfinite(value) or abs(value) >= _MOST_AMOUNT:
        return None
    written = repr(value)
    return written if "e" not in written else f"{value:.4f}"


def _currency(value: Any) -> str:
    if value.__class__ is not str:
        return ""
    code = value.strip().upper()
    return code if len(code) == 3 and code.isascii() and code.isalpha() else ""


def _order_id(value: Any) -> str:
    # Not scrubbed of card numbers: a long order id can look like one, and it is what joins browser and server.
    if value.__class__ is str:
        return value.strip()[:_MOST_TEXT] if "@" not in value else text(value)
    return str(value) if value.__class__ is int else ""


def _duration(value: Any) -> float | None:
    return float(value) if value.__class__ in (int, float) and 0 <= value < 1e10 else None


_READERS: dict[str, Any] = {"value": amount, "currency": _currency, "order_id": _order_id, "duration_ms": _duration}


def _items(properties: dict[str, Any]) -> tuple[tuple[Item, ...], str]:
    """The cart lines and the property they came from (empty for a product in flat properties)."""
    for name in vocabulary.ITEM_LISTS:
        lines = properties.get(name)
        if lines.__class__ is list:
            items = (_item(line) for line in lines[:_MOST_ITEMS] if line.__class__ is dict)
            return tuple(item for item in items if item is not None), name
    for name in vocabulary.FLAT_ITEM_IDS:
        if name in properties:
            item = _item(properties)
            return ((item,) if item is not None else ()), ""
    return (), ""


def _item(line: dict[str, Any]) -> Item | None:
    sku = next((found for name in vocabulary.ITEM_SKU if (found := text(line.get(name)))), "")
    if not sku:
        return None
    category = next((found for name in vocabulary.ITEM_CATEGORY if (found := text(line.get(name)))), "")
    quantity = line.get("quantity", 1)
    count = int(quantity) if quantity.__class__ in (int, float) and 1 <= quantity < 1e9 else 1
    return Item(sku, category, count, amount(line.get("price")))
