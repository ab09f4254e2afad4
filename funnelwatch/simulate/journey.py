"""What a session does: how far it gets, when, how often it tries to pay, and the troubles it meets on an ordinary day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from funnelwatch.simulate.agents import AGENT_NAMES
from funnelwatch.simulate.shop import STEPS
from funnelwatch.simulate.traffic import Sessions, SlowNoise

LAST = len(STEPS) - 1
PAYMENT = STEPS.index("add_payment_info")
CHECKOUT = STEPS.index("begin_checkout")
ATTEMPTS = 3
STEP_MOST_MS = 15 * 60_000  # nobody takes longer than this for one step, so a funnel's hour is rarely overrun
_STEP_LEAST_MS = 300
_PRODUCT_LANDING_MS = 500  # the product view follows the page view when the landing page is the product's
_PAUSE_S, _PAUSE_SPREAD = 22.0, 0.6  # before a declined shopper tries again

DECLINES = {
    "card_declined": 34, "insufficient_funds": 22, "authentication_failed": 20, "timeout": 14, "cancelled_by_user": 10,
}  # fmt: skip

#: How much of intent each step from page_view on takes up: a keen visitor differs most between product and checkout.
_INTENT_BY_STEP = np.array([0.0, 1.0, 0.6, 0.25, 0.15])
_RETURNING_INTENT = 0.25


def captured(code: str, url: str, **more: Any) -> dict[str, Any]:
    """Properties of an error as the browser library's error capture reports it."""
    fingerprint = f"{crc32(f'{code} {url}'.encode()):08x}"
    return {"code": code, "url": url, **more, "fingerprint": fingerprint, "suppressed": 0, "sample_rate": 1}


#: Ordinary troubles: share of sessions, event, the first step at which it may happen, properties.
_NOISE: tuple[tuple[float, str, str, Mapping[str, Any]], ...] = (
    (0.006, "exception", "page_view", captured("TypeError", "/assets/app.js", message="undefined is not an object")),
    (0.003, "exception", "begin_checkout", captured("ChunkLoadError", "/assets/checkout.js", message="Loading chunk 17 failed")),
    (0.004, "http_error", "add_to_cart", captured("503", "/api/cart", method="POST", status=503)),
    (0.002, "http_error", "begin_checkout", captured("500", "/api/checkout", method="POST", status=500)),
    (0.006, "resource_error", "page_view", captured("script", "https://chat.helpdesk.example/widget.js", third_party=True)),
    (0.002, "out_of_stock", "add_to_cart", {"stock_state": "out_of_stock"}),
)  # fmt: skip
_COUPON_REJECTED = 0.04  # share of coupons mistyped or expired
_VITAL_SHARE, _VITAL_MS, _VITAL_SPREAD = 0.10, 1900.0, 0.45  # sampled largest-contentful-paint


@dataclass(frozen=True)
class Aside:
    """Events beside the funnel: `event` happens to the sessions `rows` at times `at` (epoch ms)."""

    event: str
    rows: NDArray[np.int64]
    at: NDArray[np.int64]
    properties: Callable[[int], dict[str, Any]]  # of the session's row

    def until(self, end: NDArray[np.int64]) -> "Aside":
        """What of it happens no later than each session's `end`."""
        keep = self.at <= end[self.rows]
        return Aside(self.event, self.rows[keep], self.at[keep], self.properties)


@dataclass
class Payments:
    """Outcome of paying, (sessions, ATTEMPTS): times in epoch ms; `paid` is the attempt that went through."""

    tried: NDArray[np.bool_]
    tried_at: NDArray[np.int64]
    declined: NDArray[np.bool_]
    paid: NDArray[np.bool_]
    answered_at: NDArray[np.int64]


class Journey:
    """The sessions' way through the funnel. Faults change it before `settle` decides who paid.

    `at[:, k]` is when the session reaches, or would have reached, step k; `depth` the last step it makes of its own
    accord, `add_payment_info` at most: whether it then buys is for `settle` to say.
    """

    def __init__(self, sessions: Sessions, rng: np.random.Generator, rate_noise: SlowNoise) -> None:
        shop, n = sessions.shop, len(sessions)
        self.sessions = sessions
        self.chance = step_chances(sessions, rate_noise)
        self.depth = np.cumprod(rng.random((n, PAYMENT)) < self.chance, axis=1).sum(axis=1)
        delays = _lognormal_ms(rng, np.array(shop.delays), np.array(shop.spreads), (n, LAST))
        lands_on_product = np.array([channel.lands_on == "product" for channel in shop.channels])[sessions.channel]
        delays[lands_on_product, 0] = _PRODUCT_LANDING_MS
        self.at = np.cumsum(np.column_stack([sessions.start, delays[:, :PAYMENT]]), axis=1)
        self.answer_ms = _lognormal_ms(rng, shop.delays[-1], shop.spreads[-1], (n, ATTEMPTS))
        self.pause_ms = _lognormal_ms(rng, _PAUSE_S, _PAUSE_SPREAD, (n, ATTEMPTS - 1))
        self.walks_away = rng.random((n, ATTEMPTS)) < shop.payment_abandon
        self.declined = rng.random((n, ATTEMPTS)) < shop.payment_failure
        self.tries_again = rng.random((n, ATTEMPTS - 1)) < shop.retry
        self.codes = list(DECLINES)
        weights = np.cumsum(list(DECLINES.values()))
        self.code = np.searchsorted(weights / weights[-1], rng.random((n, ATTEMPTS)), side="right")
        self.price = np.ones((n, len(shop.products)))  # factor on the list price that each session is shown
        browse = rng.poisson(shop.browse, n)
        self.browse = np.where(self.depth >= 1, np.minimum(browse, 4), 0)
        self.browsed = rng.integers(0, len(shop.products), (n, 4))
        self.asides = list(self._ordinary_troubles(rng))

    def attempts_at(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When each payment attempt is, or would be, made and answered: two (sessions, ATTEMPTS) arrays of epoch ms."""
        pauses = np.column_stack([np.zeros(len(self.sessions), dtype=np.int64), self.pause_ms])
        answered = self.at[:, PAYMENT, None] + np.cumsum(self.answer_ms + pauses, axis=1)
        return answered - self.answer_ms, answered

    def stop(self, rows: NDArray[np.bool_], step: int) -> None:
        """Sessions in `rows` go no further than `step`; nothing befalls them afterwards."""
        if step == PAYMENT:
            self.walks_away[rows] = True
        self.depth[rows] = np.minimum(self.depth[rows], step)
        end = np.where(rows, self.at[:, step], np.iinfo(np.int64).max)
        self.asides = [aside.until(end) for aside in self.asides]

    def remove(self, rows: NDArray[np.bool_]) -> None:
        """Sessions in `rows` never take place."""
        self.depth[rows] = -1
        end = np.where(rows, 0, np.iinfo(np.int64).max)
        self.asides = [aside.until(end) for aside in self.asides]

    def slow(self, rows: NDArray[np.bool_], step: int, factor: float) -> None:
        """Sessions in `rows` take `factor` times as long from `step` to the next, STEP_MOST_MS at most."""
        if step == PAYMENT:
            self.answer_ms[rows] = np.minimum(self.answer_ms[rows] * factor, STEP_MOST_MS)
            return
        gap = self.at[rows, step + 1] - self.at[rows, step]
        longer = np.minimum(gap * factor, STEP_MOST_MS).astype(np.int64) - gap
        self.at[rows, step + 1 :] += longer[:, None]

    def aside(
        self, event: str, rows: NDArray[np.bool_], at: NDArray[np.int64], properties: Callable[[int], dict[str, Any]]
    ) -> None:
        """Record that `event` happens to the sessions in `rows` at their entries of `at`."""
        index = np.flatnonzero(rows)
        self.asides.append(Aside(event, index, at[index], properties))

    def settle(self) -> Payments:
        """Play the payment attempts out: walk away, be declined and perhaps try again, or pay."""
        tried_at, answered_at = self.attempts_at()
        tried, declined, paid = (np.zeros_like(self.declined) for _ in range(3))
        alive = self.depth == PAYMENT
        for attempt in range(ATTEMPTS):
            tried[:, attempt] = alive
            alive = alive & ~self.walks_away[:, attempt]
            declined[:, attempt] = alive & self.declined[:, attempt]
            paid[:, attempt] = alive & ~self.declined[:, attempt]
            if attempt < ATTEMPTS - 1:
                alive = declined[:, attempt] & self.tries_again[:, attempt]
        return Payments(tried, tried_at, declined, paid, answered_at)

    def _ordinary_troubles(self, rng: np.random.Generator) -> list[Aside]:
        asides = [self._trouble(rng, *noise) for noise in _NOISE]
        sessions = self.sessions
        rejected = sessions.coupon & (rng.random(len(sessions)) < _COUPON_REJECTED) & (self.depth >= CHECKOUT)
        rows = np.flatnonzero(rejected)
        asides.append(Aside("coupon_rejected", rows, self.at[rows, CHECKOUT] + 2_500, self.coupon_properties))
        rows = np.flatnonzero(rng.random(len(sessions)) < _VITAL_SHARE)
        values = dict(zip(rows.tolist(), _lognormal_ms(rng, _VITAL_MS / 1000, _VITAL_SPREAD, len(rows)).tolist(), strict=True))
        asides.append(
            Aside("web_vital", rows, self.at[rows, 0] + 3_000, lambda row: {"metric": "LCP", "duration_ms": values[row]})
        )
        return asides

    def _trouble(
        self, rng: np.random.Generator, share: float, event: str, step: str, properties: Mapping[str, Any]
    ) -> Aside:
        first = STEPS.index(step)
        rows = np.flatnonzero((rng.random(len(self.sessions)) < share) & (self.depth >= first))
        return Aside(event, rows, self.at[rows, first] + 1_200, lambda _: dict(properties))

    def coupon_properties(self, row: int) -> dict[str, Any]:
        """Properties of a `coupon_rejected` of the session in `row`."""
        coupon = self.sessions.shop.channels[int(self.sessions.channel[row])].coupon
        return {"coupon": coupon, "code": "coupon_invalid"}


def step_chances(sessions: Sessions, rate_noise: SlowNoise) -> NDArray[np.float64]:
    """Chance of each session to go on from each step before payment, shape (sessions, 5)."""
    shop = sessions.shop
    rates = np.array(shop.rates)
    intent = np.array([channel.intent for channel in shop.channels])[sessions.channel]
    agent = np.array([shop.agent_intent.get(name, 0.0) for name in AGENT_NAMES])[sessions.agent]
    keen = (intent + agent + _RETURNING_INTENT * sessions.returning)[:, None] * _INTENT_BY_STEP
    logit = np.log(rates / (1 - rates)) + keen + rate_noise.at(sessions.start)[:, None]
    return 1 / (1 + np.exp(-logit))


def _lognormal_ms(
    rng: np.random.Generator, median_s: Any, sigma: Any, shape: int | tuple[int, ...]
) -> NDArray[np.int64]:
    seconds = np.asarray(median_s) * np.exp(np.asarray(sigma) * rng.standard_normal(shape))
    return np.clip(seconds * 1000, _STEP_LEAST_MS, STEP_MOST_MS).astype(np.int64)
