"""A shop's events as columns, a million in a second or two: for questions of size, where making messages would take hours."""

import numpy as np

from funnelwatch.core.vocabulary import DEFAULT_FUNNEL_STEPS
from funnelwatch.store.native import Column

#: Chance of going on after each step, as shops have it.
_ON = np.array([0.6, 0.35, 0.6, 0.8, 0.85, 0.8])
#: So many values that some 2,000 cohorts are watched.
_DIMENSIONS = {
    "device": ("mobile", "desktop", "tablet"), "os": ("iOS", "Android", "Windows", "macOS", "Linux", "ChromeOS"), "os_version": tuple(f"{v}" for v in range(30)),
    "browser": ("Safari", "Chrome", "Firefox", "Edge", *(f"B{v}" for v in range(8))), "browser_version": tuple(f"{v}" for v in range(40)),
    "country": ("DE", "IN", "US", "FR", "GB", "ES", "IT", "NL", *(f"C{v}" for v in range(52))), "region": tuple(f"R{v}" for v in range(150)),
    "source": ("(direct)", "google", "instagram", "newsletter", *(f"site{v}" for v in range(36))), "medium": ("(none)", "cpc", "email"),
    "campaign": ("", "ig_sale", "autumn", "brand", *(f"campaign{v}" for v in range(116))), "app_version": tuple(f"2026.3.{v}" for v in range(12)),
    "consent": ("granted", "denied"),
}  # fmt: skip
_AT_PAYMENT = {"payment_provider": ("stripe", "paypal", "adyen"), "payment_method": ("card", "wallet", "invoice"), "shipping_method": ("standard", "express")}
_SKUS = np.array([f"SKU-{number}" for number in range(5_000)], dtype=object)
_PATHS = np.array([f"/p/{number}" for number in range(300)], dtype=object)


def day(project_id: int, number: int, start_ms: int, events: int) -> dict[str, Column]:
    """About `events` events of day `number`, whole sessions spread evenly from `start_ms` (epoch milliseconds) over 24 hours."""
    rng = np.random.default_rng(number)
    reached = 1 + np.cumprod(rng.random((int(events / 2.45), len(_ON))) < _ON, axis=1).sum(axis=1)
    session = np.repeat(np.arange(len(reached)), reached)
    step = np.arange(len(session)) - np.repeat(np.cumsum(reached) - reached, reached)
    began = start_ms + (rng.random(len(reached)) * 86_000_000).astype(np.int64)
    ts = began[session] + step * 40_000 + rng.integers(0, 39_000, len(session))
    order = np.argsort(ts, kind="stable")
    session, step, ts = session[order], step[order], ts[order]
    names = np.array(DEFAULT_FUNNEL_STEPS, dtype=object)
    visitors = np.array([f"{number:04x}{index:012x}" for index in range(len(reached))], dtype=object)
    size, bought = len(ts), step == 6
    columns: dict[str, Column] = {
        "project_id": np.full(size, project_id), "message_id": [f"{number}-{index}" for index in range(size)], "name": names[step],
        "ts": ts, "received_at": ts + rng.integers(50, 3_000, size), "visitor_id": visitors[session], "session_id": visitors[session],
        "page_path": _PATHS[_skewed(rng, len(_PATHS), size)], "currency": np.full(size, "EUR", dtype=object),
        "value": np.where(bought, rng.integers(500, 20_000, size), None), "channel": np.full(size, "browser", dtype=object),
        "order_id": np.where(bought, visitors[session], ""), "item_sku": [[sku] for sku in _SKUS[_skewed(rng, len(_SKUS), size)]],
        "item_category": [[f"Category {number}"] for number in _skewed(rng, 80, size)], "variants": [[f"test:{number}"] for number in rng.integers(0, 24, size)],
        "item_quantity": [[1]] * size, "properties": np.full(size, "{}", dtype=object),
    }  # fmt: skip
    for name, values in _DIMENSIONS.items():
        columns[name] = np.array(values, dtype=object)[_skewed(rng, len(values), len(reached))][session]
    for name, values in _AT_PAYMENT.items():
        columns[name] = np.where(step >= 5, np.array(values, dtype=object)[_skewed(rng, len(values), len(reached))][session], "")
    return columns


def _skewed(rng: np.random.Generator, values: int, size: int) -> np.ndarray:
    """Indices of which the first are the most frequent, as in life."""
    weights = 1 / np.arange(1, values + 1)
    return rng.choice(values, size, p=weights / weights.sum())
