"""What goes wrong, for whom, from when to when, by how much: faults with known answers, and look-alikes that are none.

A fault acts in one of three places: it adds traffic, changes journeys (what shoppers do), or the sending (what of it reaches
us). Its own random stream leaves every session it does not touch exactly as it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.vocabulary import IncidentKind
from funnelwatch.simulate.journey import PAYMENT, Journey, captured
from funnelwatch.simulate.shop import STEPS, Channel
from funnelwatch.simulate.traffic import MINUTE_MS, PRODUCT_TRAITS, Sessions

PAY = "add_payment_info->purchase"
FROM_CHECKOUT = "begin_checkout->add_shipping_info"
WHOLE_FUNNEL = f"{STEPS[0]}->{STEPS[-1]}"
_SIGNAL_MS = 1_800  # an error shows this long after the step that met it


@dataclass(frozen=True)
class Fault:
    """One fault of `kind` (a key of KINDS), from `start` for `minutes`, counted from the end of history.

    `size` is the share of sessions hit; for `price_error` the factor on the price, for floods the extra sessions as a multiple
    of the shop's average, for `late_data` minutes. It grows linearly to its full value over `ramp` minutes. `factor` multiplies the time a slowed step
    takes. `scope` is {dimension: value}, ANDed. `cause` is the external id of a change, or what else it is. `step` overrides the
    kind's own. `channel` is where a flood comes from.
    """

    kind: str
    start: float
    minutes: float
    size: float
    scope: Mapping[str, str] = field(default_factory=dict)
    cause: str = "unknown"
    step: str = ""
    ramp: float = 0.0
    factor: float = 1.0
    channel: Channel | None = None


@dataclass(frozen=True)
class ActiveFault:
    """A fault with its window in epoch ms."""

    spec: Fault
    start_ms: int
    end_ms: int

    @classmethod
    def after(cls, history_until_ms: int, spec: Fault) -> "ActiveFault":
        """The fault placed in time. Raises ValueError for an unknown kind or a flood without a channel."""
        if spec.kind not in KINDS:
            raise ValueError(f"no fault {spec.kind!r}; there are {', '.join(KINDS)}")
        if KINDS[spec.kind].place == "flood" and not spec.channel:
            raise ValueError(f"{spec.kind} needs a channel to come from")
        start = history_until_ms + round(spec.start * MINUTE_MS)
        return cls(spec, start, start + round(spec.minutes * MINUTE_MS))

    @property
    def kind(self) -> "Kind":
        """What this sort of fault does."""
        return KINDS[self.spec.kind]

    @property
    def step(self) -> str:
        """The damaged step as `from->to`."""
        return self.spec.step or self.kind.step

    @property
    def first_step(self) -> int:
        """Index of the step the damaged one starts from."""
        return STEPS.index(self.step.split("->")[0])

    @property
    def effect(self) -> float:
        """Signed relative change of the step's conversion, of the volume or of the price, at full size."""
        return self.spec.size - 1 if self.spec.kind == "price_error" else -self.spec.size

    def growth(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """0 outside the window, then rising to 1 over the ramp."""
        inside = (at >= self.start_ms) & (at < self.end_ms)
        ramp_ms = max(self.spec.ramp * MINUTE_MS, 1)
        return np.where(inside, np.clip((at - self.start_ms + 1) / ramp_ms, 0.0, 1.0), 0.0)

    def reaches(self, sessions: Sessions, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Sessions of the scope that are inside the window at their entry of `at`."""
        return sessions.matches(self.spec.scope) & (self.growth(at) > 0)

    def hits(self, sessions: Sessions, at: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Of these, the ones struck: a share `size`, drawn once a session, so trying again does not help."""
        share = self.spec.size * self.growth(at)
        return sessions.matches(self.spec.scope) & (rng.random(len(sessions)) < share)


def fail_payments(journey: Journey, fault: ActiveFault, rng: np.random.Generator) -> None:
    """Payments of those hit are declined at every attempt inside the window; answers take `factor` times as long for all."""
    tried_at, _ = journey.attempts_at()
    if fault.spec.factor != 1:
        journey.slow(fault.reaches(journey.sessions, tried_at[:, 0]), PAYMENT, fault.spec.factor)
    hit = fault.hits(journey.sessions, tried_at[:, 0], rng)
    inside = (tried_at >= fault.start_ms) & (tried_at < fault.end_ms) & hit[:, None]
    journey.walks_away &= ~inside
    journey.declined |= inside
    journey.codes.append(fault.kind.properties["code"])
    journey.code[inside] = len(journey.codes) - 1


def stop_at_step(journey: Journey, fault: ActiveFault, rng: np.random.Generator) -> None:
    """Those hit go no further and show the kind's signal; the step takes `factor` times as long for all in scope."""
    step = fault.first_step
    at = journey.at[:, step].copy()
    if fault.spec.factor != 1:
        journey.slow(fault.reaches(journey.sessions, at), step, fault.spec.factor)
    stopped = fault.hits(journey.sessions, at, rng) & (journey.depth >= step)
    journey.stop(stopped, step)
    if fault.kind.signal:
        scope = {name: value for name, value in fault.spec.scope.items() if name in ("sku", "coupon")}
        properties = {**fault.kind.properties, **scope}
        journey.aside(fault.kind.signal, stopped, at + _SIGNAL_MS, lambda _: dict(properties))


def stay_away(journey: Journey, fault: ActiveFault, rng: np.random.Generator) -> None:
    """Those hit never come."""
    journey.remove(fault.hits(journey.sessions, journey.sessions.start, rng))


def misprice(journey: Journey, fault: ActiveFault, rng: np.random.Generator) -> None:
    """Products in scope are shown at `size` times their price to sessions that reach a product page inside the window."""
    wanted = {name: value for name, value in fault.spec.scope.items() if name in PRODUCT_TRAITS}
    visitors = {name: value for name, value in fault.spec.scope.items() if name not in PRODUCT_TRAITS}
    products = [
        index
        for index, product in enumerate(journey.sessions.shop.products)
        if all(getattr(product, name) == value for name, value in wanted.items())
    ]
    shown = journey.sessions.matches(visitors) & (fault.growth(journey.at[:, 1]) > 0)
    journey.price[np.ix_(shown, np.array(products, dtype=np.int64))] *= fault.spec.size


JourneyFault = Callable[[Journey, ActiveFault, np.random.Generator], None]


@dataclass(frozen=True)
class Kind:
    """A sort of fault: where it acts, which step it damages, what an incident about it should be called.

    `verdict` None marks what looks like trouble and is none. `change_journey` is set for what acts on journeys; floods are
    served by `Simulation`, losses and delays on the way by `Mail`.
    """

    place: str  # flood | journey | loss | delay
    verdict: IncidentKind | None
    step: str = ""
    change_journey: JourneyFault | None = None
    signal: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    what: str = ""


KINDS: dict[str, Kind] = {
    "payment_failure": Kind("journey", "rate", PAY, fail_payments, properties={"code": "gateway_unreachable"}),
    "slow_payment": Kind("journey", "latency", PAY, fail_payments, properties={"code": "gateway_timeout"}),
    "checkout_errors": Kind(
        "journey", "rate", FROM_CHECKOUT, stop_at_step, "http_error",
        captured("500", "/api/checkout", method="POST", status=500),
    ),
    "coupon_failure": Kind(
        "journey", "rate", FROM_CHECKOUT, stop_at_step, "coupon_rejected", {"code": "coupon_service_error"}
    ),
    "stockout": Kind(
        "journey", "rate", FROM_CHECKOUT, stop_at_step, "out_of_stock", {"stock_state": "out_of_stock"}
    ),
    "broken_page": Kind(
        "journey", "rate", "view_item->add_to_cart", stop_at_step, "exception",
        captured("ReferenceError", "/assets/app.js", message="addToCart is not defined"),
    ),
    "silent_loss": Kind("journey", "rate", "add_to_cart->begin_checkout", stop_at_step),
    "slow_script": Kind(
        "journey", "latency", "view_item->add_to_cart", stop_at_step, "resource_error",
        captured("script", "https://cdn.reviews.example/stars.js", third_party=True, duration_ms=12_000),
    ),
    "price_error": Kind("journey", "revenue", PAY, misprice),
    "volume_loss": Kind("journey", "volume", WHOLE_FUNNEL, stay_away),
    "tracking_loss": Kind("loss", "tracking", PAY),
    "mix_shift": Kind("flood", None, what="a campaign brings many visitors of low intent"),
    "bot_flood": Kind("flood", None, what="bots walk the catalogue"),
    "late_data": Kind("delay", None, what="events arrive late"),
}  # fmt: skip
