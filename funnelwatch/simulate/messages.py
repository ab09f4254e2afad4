"""Journeys told as Segment messages: GA4 event names with their properties, and the page each was sent from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.simulate.journey import ATTEMPTS, CHECKOUT, Journey
from funnelwatch.simulate.shop import Channel, Shop
from funnelwatch.simulate.traffic import Sessions

_COUPON_FACTOR = 0.85
_SIGN_IN_SHARE = 0.25  # of strangers at checkout
_SIGN_IN_MS = 1_500
_SERVER_SLOWER_MS = 400  # the server writes an order down a little after the browser sees it confirmed
_PAGE_BEFORE_VIEW_MS = 250

Json = dict[str, Any]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sort:
    """A sort of message. `slot` makes the message id unique within the session."""

    slot: str
    event: str
    type: str = "track"
    server: bool = False


@dataclass
class Outbox:
    """Messages in the making, in no order: for each its sort, session row, time (epoch ms), properties and page."""

    sorts: list[Sort] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    at: list[NDArray[np.int64]] = field(default_factory=list)
    properties: list[Json] = field(default_factory=list)
    pages: list[Json] = field(default_factory=list)

    def add(
        self, sort: Sort, rows: Rows, at: NDArray[np.int64], properties: Sequence[Json], pages: Sequence[Json]
    ) -> None:
        """Put in one sort of message for the sessions `rows`."""
        self.sorts.append(sort)
        self.rows.append(rows)
        self.at.append(at)
        self.properties += properties
        self.pages += pages


class Identity:
    """Who signs in on the way, and the number an order of each session would get."""

    def __init__(self, sessions: Sessions, rng: np.random.Generator) -> None:
        n = len(sessions)
        self.signs_in = (sessions.member == 0) & (rng.random(n) < _SIGN_IN_SHARE)
        self.customer = np.where(self.signs_in, rng.integers(10_000_000, 10**9, n), sessions.member)
        self.order = rng.integers(10**9, 10**10, n)


class Stationery:
    """The pages and items of one shop, made once and shared by all messages that show them."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.products = [self.page(product.path, product.name) for product in shop.products]
        self.checkout = self.page("/checkout", "Checkout")
        self.thanks = self.page("/checkout/thank-you", "Thank you")
        self._landings: dict[tuple[int, str], Json] = {}
        self._items: dict[tuple[int, int, float], Json] = {}

    def page(self, path: str, title: str, query: str = "", referrer: str = "") -> Json:
        """A page as analytics.js describes it."""
        page = {"path": path, "title": title, "url": f"{self._shop.url}{path}{query}"}
        return {**page, "referrer": referrer} if referrer else page

    def landing(self, channel_index: int, path: str) -> Json:
        """The first page of a visit through a channel, with its utm parameters and referrer."""
        key = (channel_index, path)
        if key not in self._landings:
            channel = self._shop.channels[channel_index]
            self._landings[key] = self.page(path, self._shop.name, _query(channel), channel.referrer)
        return self._landings[key]

    def item(self, product_index: int, quantity: int, factor: float) -> Json:
        """A line of a cart, priced at `factor` times the list price."""
        key = (product_index, quantity, factor)
        if key not in self._items:
            product = self._shop.products[product_index]
            self._items[key] = {
                "item_id": product.sku,
                "item_name": product.name,
                "item_category": product.category,
                "price": round(product.price * factor, 2),
                "quantity": quantity,
            }
        return self._items[key]


class Story:
    """One chunk's journeys, told into an outbox."""

    def __init__(self, stationery: Stationery, journey: Journey, identity: Identity) -> None:
        self._stationery, self._journey, self._identity = stationery, journey, identity
        self._sessions = sessions = journey.sessions
        self._shop = sessions.shop
        self._outbox = Outbox()
        paths = sessions.landing_paths()
        self._landings = [
            stationery.landing(channel, path) for channel, path in zip(sessions.channel.tolist(), paths, strict=True)
        ]
        self._ways = self._ways_to_pay()

    def tell(self) -> Outbox:
        """Everything that happens on these journeys."""
        self._arrive()
        self._look_around()
        self._fill_cart()
        carts = self._check_out()
        self._pay(carts)
        for number, aside in enumerate(self._journey.asides):
            rows = aside.rows.tolist()
            properties = [aside.properties(row) for row in rows]
            pages = [self._landings[row] for row in rows]
            self._outbox.add(Sort(f"aside{number}", aside.event), aside.rows, aside.at, properties, pages)
        return self._outbox

    def _arrive(self) -> None:
        journey, sessions = self._journey, self._sessions
        rows = np.flatnonzero(journey.depth >= 0)
        pages = [self._landings[row] for row in rows.tolist()]
        self._outbox.add(Sort("land", "page_view", "page"), rows, journey.at[rows, 0], pages, pages)
        viewers = np.flatnonzero(journey.depth >= 1)
        lands_on_product = np.array([channel.lands_on == "product" for channel in self._shop.channels])
        walked = viewers[~lands_on_product[sessions.channel[viewers]]]
        self._open("page", walked, journey.at[walked, 1], sessions.product[walked])
        self._show("view_item", "view", viewers, journey.at[viewers, 1], sessions.product[viewers])

    def _look_around(self) -> None:
        """Further products, evenly spread over the time to the cart."""
        journey = self._journey
        stay = journey.at[:, 2] - journey.at[:, 1]
        for nth in range(int(journey.browse.max(initial=0))):
            rows = np.flatnonzero((journey.browse > nth) & (journey.depth >= 1))
            at = journey.at[rows, 1] + (stay[rows] * (nth + 1)) // (journey.browse[rows] + 1)
            self._open(f"page{nth}", rows, at, journey.browsed[rows, nth])
            self._show("view_item", f"view{nth}", rows, at, journey.browsed[rows, nth])

    def _fill_cart(self) -> None:
        journey, sessions = self._journey, self._sessions
        rows = np.flatnonzero(journey.depth >= 2)
        self._show("add_to_cart", "cart", rows, journey.at[rows, 2], sessions.product[rows], sessions.quantity[rows])
        more = rows[sessions.second[rows] >= 0]
        stay = journey.at[more, 3] - journey.at[more, 2]
        self._show("view_item", "view-second", more, journey.at[more, 2] + stay // 4, sessions.second[more])
        self._show("add_to_cart", "cart-second", more, journey.at[more, 2] + stay // 2, sessions.second[more])

    def _check_out(self) -> dict[int, Json]:
        """Tell the steps before payment; returns what is in the cart of each session that gets there, by row."""
        journey, shipping = self._journey, list(self._shop.shipping_methods)
        rows = np.flatnonzero(journey.depth >= CHECKOUT)
        carts = {row: self._cart(row) for row in rows.tolist()}
        self._step("begin_checkout", rows, journey.at[rows, CHECKOUT], list(carts.values()))
        joining = rows[self._identity.signs_in[rows]]
        nothing: list[Json] = [{}] * len(joining)
        pages = [self._stationery.checkout] * len(joining)
        self._outbox.add(
            Sort("join", "", "identify"), joining, journey.at[joining, CHECKOUT] + _SIGN_IN_MS, nothing, pages
        )
        rows = np.flatnonzero(journey.depth > CHECKOUT)
        methods = self._sessions.shipping[rows].tolist()
        took = (journey.at[rows, CHECKOUT + 1] - journey.at[rows, CHECKOUT]).tolist()
        shipped = [
            {**carts[row], "shipping_tier": shipping[method], "duration_ms": ms}
            for row, method, ms in zip(rows.tolist(), methods, took, strict=True)
        ]
        self._step("add_shipping_info", rows, journey.at[rows, CHECKOUT + 1], shipped)
        return carts

    def _pay(self, carts: dict[int, Json]) -> None:
        journey, ways, payments = self._journey, self._ways, self._journey.settle()
        for attempt in range(ATTEMPTS):
            rows = np.flatnonzero(payments.tried[:, attempt])
            given = [{**carts[row], **ways[row]} for row in rows.tolist()]
            self._step("add_payment_info", rows, payments.tried_at[rows, attempt], given, slot=f"pay{attempt}")
            rows = np.flatnonzero(payments.declined[:, attempt])
            codes, waits = journey.code[rows, attempt].tolist(), journey.answer_ms[rows, attempt].tolist()
            refused = [
                {**carts[row], **ways[row], "code": journey.codes[code], "attempt": attempt + 1, "duration_ms": wait}
                for row, code, wait in zip(rows.tolist(), codes, waits, strict=True)
            ]
            self._step("payment_failed", rows, payments.answered_at[rows, attempt], refused, slot=f"failed{attempt}")
        rows, attempts = np.nonzero(payments.paid)
        at, waits = payments.answered_at[rows, attempts], journey.answer_ms[rows, attempts].tolist()
        orders = [
            {**carts[row], **ways[row], "order_id": str(number), "duration_ms": wait}
            for row, number, wait in zip(rows.tolist(), self._identity.order[rows].tolist(), waits, strict=True)
        ]
        self._step("purchase", rows, at, orders)
        told = np.flatnonzero(self._identity.order[rows] % 1000 < self._shop.server_orders * 1000)
        copies = [orders[index] for index in told.tolist()]
        server = Sort("order", "purchase", server=True)
        self._outbox.add(server, rows[told], at[told] + _SERVER_SLOWER_MS, copies, [{}] * len(copies))

    def _open(self, slot: str, rows: Rows, at: NDArray[np.int64], products: NDArray[np.int64]) -> None:
        pages = [self._stationery.products[product] for product in products.tolist()]
        self._outbox.add(Sort(slot, "page_view", "page"), rows, at - _PAGE_BEFORE_VIEW_MS, pages, pages)

    def _show(
        self, event: str, slot: str, rows: Rows, at: NDArray[np.int64], products: NDArray[np.int64],
        quantities: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        """An event about one product."""
        counts = [1] * len(rows) if quantities is None else quantities.tolist()
        factors = self._journey.price[rows, products].tolist()
        items = [self._stationery.item(*line) for line in zip(products.tolist(), counts, factors, strict=True)]
        pages = [self._stationery.products[product] for product in products.tolist()]
        self._outbox.add(Sort(slot, event), rows, at, [self._contents([item]) for item in items], pages)

    def _step(self, event: str, rows: Rows, at: NDArray[np.int64], properties: list[Json], slot: str = "") -> None:
        page = self._stationery.thanks if event == "purchase" else self._stationery.checkout
        self._outbox.add(Sort(slot or event, event), rows, at, properties, [page] * len(rows))

    def _cart(self, row: int) -> Json:
        """What the session in `row` checks out."""
        sessions = self._sessions
        lines = [(int(sessions.product[row]), int(sessions.quantity[row])), (int(sessions.second[row]), 1)]
        price = self._journey.price[row]
        items = [
            self._stationery.item(product, quantity, float(price[product])) for product, quantity in lines if product >= 0
        ]
        contents = self._contents(items)
        if sessions.coupon[row]:
            contents["coupon"] = self._shop.channels[int(sessions.channel[row])].coupon
            contents["value"] = round(contents["value"] * _COUPON_FACTOR, 2)
        return contents

    def _contents(self, items: list[Json]) -> Json:
        value = round(sum([item["price"] * item["quantity"] for item in items]), 2)
        return {"currency": self._shop.currency, "value": value, "items": items}

    def _ways_to_pay(self) -> list[Json]:
        methods, providers = list(self._shop.payment_methods), list(self._shop.payment_providers)
        pairs = zip(self._sessions.method.tolist(), self._sessions.provider.tolist(), strict=True)
        return [{"payment_type": methods[method], "payment_provider": providers[provider]} for method, provider in pairs]


def _query(channel: Channel) -> str:
    if not channel.campaign:
        return ""
    return f"?utm_source={channel.source}&utm_medium={channel.medium}&utm_campaign={channel.campaign}"
