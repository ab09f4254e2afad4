"""Money, order, cart lines and the other properties that have a column of their own."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from funnelwatch.core.vocabulary import CANONICAL_EVENTS
from funnelwatch.ingest import vocabulary
from funnelwatch.ingest.amounts import amount
from funnelwatch.ingest.privacy import scrub, scrub_value

_CANONICAL = frozenset(CANONICAL_EVENTS)
_MOST_TEXT = 200
_MOST_ITEMS = 500


def read_properties(draft: Any, properties: dict[str, Any]) -> dict[str, Any]:
    """Fill the draft's commerce fields; the properties that remain to be stored as they are.

    A custom event keeps all its properties, a canonical one those without a column.
    """
    ranks: dict[str, int] = {}
    taken: dict[str, str] = {}
    for name, sent in properties.items():
        target = vocabulary.PROPERTIES.get(name)
        if target is None:
            continue
        field, rank = target
        if field in ranks and ranks[field] < rank:
            continue
        value = _READERS.get(field, text)(sent)
        if value != "" and value is not None:
            setattr(draft, field, value)
            ranks[field], taken[field] = rank, name
    source = _put_items(draft, properties)
    if draft.name not in _CANONICAL:
        return properties
    if len(taken) + (source != "") == len(properties):
        return {}
    names = {*taken.values(), source}
    return {name: value for name, value in properties.items() if name not in names}


def text(value: Any) -> str:
    """Short text of a scalar, scrubbed; empty for anything else."""
    if value.__class__ is str:
        return _clean(value[:_MOST_TEXT])
    return "" if value is None or isinstance(value, dict | list) else str(scrub_value(value))[:_MOST_TEXT]


@lru_cache(maxsize=32_768)
def _clean(value: str) -> str:
    # Cached: SKUs, categories, campaigns and versions are few and come with every event.
    return scrub(value.strip())


def _currency(value: Any) -> str:
    code = text(value).upper()
    return code if len(code) == 3 and code.isascii() and code.isalpha() else ""


def _identifier(value: Any) -> str:
    # Not scrubbed of card numbers: a long order id or SKU can look like one, and it is what joins browser, server and catalogue.
    if value.__class__ is str:
        return value.strip()[:_MOST_TEXT] if "@" not in value else text(value)
    return str(value) if value.__class__ is int or value.__class__ is float else ""


def _duration(value: Any) -> float | None:
    return float(value) if value.__class__ in (int, float) and 0 <= value < 1e10 else None


_READERS: dict[str, Any] = {"value": amount, "currency": _currency, "order_id": _identifier, "duration_ms": _duration}


def _put_items(draft: Any, properties: dict[str, Any]) -> str:
    """Fill in the cart lines; the name of the property they came from (empty for a product in flat properties)."""
    for name in vocabulary.ITEM_LISTS:
        lines = properties.get(name)
        if lines.__class__ is list:
            _put_lines(draft, [line for line in lines[:_MOST_ITEMS] if line.__class__ is dict])
            return name
    for name in vocabulary.FLAT_ITEM_IDS:
        if name in properties:
            _put_lines(draft, [properties])
            break
    return ""


def _put_lines(draft: Any, lines: list[dict[str, Any]]) -> None:
    skus, categories, quantities, prices = [], [], [], []
    for line in lines:
        sku = _first(line, vocabulary.ITEM_IDS, _identifier) or _first(line, vocabulary.ITEM_NAMES, text)
        if sku:
            quantity = line.get("quantity", 1)
            skus.append(sku)
            categories.append(_first(line, vocabulary.ITEM_CATEGORY, text))
            quantities.append(int(quantity) if quantity.__class__ in (int, float) and 1 <= quantity < 1e9 else 1)
            prices.append(amount(line.get("price")))
    draft.item_sku, draft.item_category, draft.item_quantity, draft.item_price = skus, categories, quantities, prices


def _first(line: dict[str, Any], names: tuple[str, ...], read: Callable[[Any], str]) -> str:
    for name in names:
        if name in line:
            found = read(line[name])
            if found:
                return found
    return ""
