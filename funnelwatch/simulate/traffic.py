"""Who comes, and when: sessions by minute with the shop's daily and weekly rhythm, each with its visitor's traits.

Everything is drawn with numpy for a chunk of 15 minutes at a time. A chunk's draws depend on the seed and the chunk's place in
time alone, so any stretch of time can be drawn by itself and comes out the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.clock import from_ms
from funnelwatch.simulate.agents import AGENT_LIST, AGENT_NAMES
from funnelwatch.simulate.shop import Shop

MINUTE_MS = 60_000
CHUNK_MINUTES = 15  # a chunk of a million-session day stays under 200 MB of messages
CHUNK_MS = CHUNK_MINUTES * MINUTE_MS
DAY_MINUTES = 1440

_POOL, _CHUNK, _NOISE = range(3)  # which of a traffic's random streams
_POOL_DAYS = 5  # a regular comes back every five days on average
_POOL_MOST = 200_000
_ROLLOUT_MS = 10 * MINUTE_MS  # a release reaches everyone within ten minutes

PRODUCT_TRAITS = ("sku", "category")
_AGENT_TRAITS = ("device", "os", "os_version", "browser", "browser_version")
_CHANNEL_TRAITS = ("source", "medium", "campaign")


@dataclass(frozen=True)
class Release:
    """A version of the shop's code, served to new sessions from `at_ms` on."""

    at_ms: int
    version: str


class SlowNoise:
    """A smooth random wave of time with standard deviation `sd`: eight sines, periods from 45 minutes to 30 hours."""

    def __init__(self, rng: np.random.Generator, sd: float) -> None:
        self._periods_ms = np.geomspace(45, 1800, 8) * MINUTE_MS * rng.uniform(0.9, 1.1, 8)
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._scale = sd * np.sqrt(2 / 8)

    def at(self, times_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """The wave's value at each time."""
        angles = 2 * np.pi * times_ms[:, None] / self._periods_ms + self._phases
        return self._scale * np.sin(angles).sum(axis=1)


@dataclass
class Sessions:
    """Sessions that start in one chunk, one row each. Integer columns index the shop's tables."""

    shop: Shop
    versions: tuple[str, ...]
    start: NDArray[np.int64]  # epoch ms
    id: NDArray[np.uint64]
    visitor: NDArray[np.uint64]
    member: NDArray[np.int64]  # customer number, 0 for strangers
    returning: NDArray[np.bool_]
    channel: NDArray[np.int64]
    agent: NDArray[np.int64]
    place: NDArray[np.int64]
    product: NDArray[np.int64]
    second: NDArray[np.int64]  # a second product in the cart, -1 for none
    category: NDArray[np.int64]  # of a category landing page
    quantity: NDArray[np.int64]
    coupon: NDArray[np.bool_]
    method: NDArray[np.int64]
    provider: NDArray[np.int64]
    shipping: NDArray[np.int64]
    version: NDArray[np.int64]
    variant: NDArray[np.int64]  # (sessions, experiments)

    def __len__(self) -> int:
        return len(self.start)

    def keep(self, mask: NDArray[np.bool_]) -> "Sessions":
        """The sessions for which `mask` is true."""
        columns = {name: column[mask] for name, column in vars(self).items() if isinstance(column, np.ndarray)}
        return Sessions(shop=self.shop, versions=self.versions, **columns)

    def matches(self, scope: Mapping[str, str]) -> NDArray[np.bool_]:
        """Which sessions lie in `scope` ({dimension: value}). Raises KeyError for a dimension sessions do not have."""
        mask = np.ones(len(self), dtype=bool)
        for dimension, value in scope.items():
            mask &= self._has(dimension, value)
        return mask

    def landing_paths(self) -> list[str]:
        """The path of each session's first page."""
        shop = self.shop
        rows = zip(self.channel.tolist(), self.product.tolist(), self.category.tolist(), strict=True)
        return [shop.landing_path(shop.channels[channel], product, category) for channel, product, category in rows]

    def _has(self, dimension: str, value: str) -> NDArray[np.bool_]:
        shop = self.shop
        if dimension in PRODUCT_TRAITS:
            is_value = np.array([getattr(product, dimension) == value for product in shop.products])
            return is_value[self.product] | (is_value[self.second] & (self.second >= 0))
        if dimension == "variant":
            experiment, _, variant = value.partition(":")
            column = list(shop.experiments).index(experiment)
            return self.variant[:, column] == shop.experiments[experiment].index(variant)
        if dimension == "landing_page":
            return np.array([path == value for path in self.landing_paths()], dtype=bool)
        if dimension == "coupon":
            return self.coupon & np.array([channel.coupon == value for channel in shop.channels])[self.channel]
        labels, codes = self._table(dimension)
        return np.array([label == value for label in labels])[codes]

    def _table(self, dimension: str) -> tuple[list[str], NDArray[np.int64]]:
        shop = self.shop
        if dimension in _AGENT_TRAITS:
            return [getattr(agent, dimension) for agent in AGENT_LIST], self.agent
        if dimension in _CHANNEL_TRAITS:
            return [getattr(channel, dimension) for channel in shop.channels], self.channel
        return {
            "country": ([country for country, _ in shop.places], self.place),
            "region": ([region for _, region in shop.places], self.place),
            "payment_method": (list(shop.payment_methods), self.method),
            "payment_provider": (list(shop.payment_providers), self.provider),
            "shipping_method": (list(shop.shipping_methods), self.shipping),
            "app_version": (list(self.versions), self.version),
            "new_or_returning": (["new", "returning"], self.returning.astype(np.int64)),
        }[dimension]


class Traffic:
    """A stream of sessions: `sessions_per_day` on average, in the proportions of the shop's channels.

    `salt` keeps streams of the same seed apart.
    """

    def __init__(
        self, shop: Shop, sessions_per_day: float, seed: int, salt: int = 0, releases: tuple[Release, ...] = ()
    ) -> None:
        self.shop = shop
        self.sessions_per_day = sessions_per_day
        self.releases = (Release(0, shop.first_version), *releases)
        self._seed, self._salt = seed, salt
        self._zone = ZoneInfo(shop.timezone)
        self._volume_noise = SlowNoise(self._rng(_NOISE, 0), shop.volume_noise)
        self.rate_noise = SlowNoise(self._rng(_NOISE, 1), shop.rate_noise)
        self._pools = [self._pool(index) for index in range(len(shop.channels))]

    def rates(self, minutes_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Expected sessions per minute by channel, shape (channels, minutes), at UTC minutes, slow noise included."""
        local = [from_ms(int(ms)).astimezone(self._zone) for ms in minutes_ms]
        hours = np.array([_hour(moment) for moment in local])
        week = np.asarray(self.shop.week)
        weekday = week[[moment.weekday() for moment in local]] / week.mean()
        level = self.sessions_per_day / DAY_MINUTES * weekday * np.exp(self._volume_noise.at(minutes_ms))
        return np.array([channel.share * _rhythm(channel.hours, hours) * level for channel in self.shop.channels])

    def chunk(self, index: int) -> tuple[Sessions, np.random.Generator]:
        """The sessions starting in chunk `index` (its start is `index * CHUNK_MS`), and the stream for their journeys."""
        rng = self._rng(_CHUNK, index)
        minutes = index * CHUNK_MS + np.arange(CHUNK_MINUTES) * MINUTE_MS
        burst = np.exp(self.shop.minute_noise * rng.standard_normal(CHUNK_MINUTES))
        counts = rng.poisson(self.rates(minutes) * burst)
        channel = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
        start = np.concatenate([np.repeat(minutes, row) for row in counts])
        start = start + rng.integers(0, MINUTE_MS, len(start))
        return self._sessions(rng, channel, start), rng

    def _sessions(
        self, rng: np.random.Generator, channel: NDArray[np.int64], start: NDArray[np.int64]
    ) -> Sessions:
        shop, n, table = self.shop, len(start), self._tables
        returning = rng.random(n) < table.returning[channel]
        visitor = rng.integers(1, 2**63, n, dtype=np.uint64)
        agent = _pick_by(rng, table.audiences, channel)
        place = _pick(rng, table.places, n)
        member = np.zeros(n, dtype=np.int64)
        regular = rng.random(n)
        for index, pool in enumerate(self._pools):
            mine = returning & (channel == index)
            rows = (regular[mine] * len(pool.visitor)).astype(np.int64)
            visitor[mine], member[mine] = pool.visitor[rows], pool.member[rows]
            agent[mine], place[mine] = pool.agent[rows], pool.place[rows]
        product = _pick(rng, table.products, n)
        second = _pick(rng, table.products, n)
        has_second = (rng.random(n) < shop.second_item) & (second != product)
        return Sessions(
            shop=shop,
            versions=tuple(release.version for release in self.releases),
            start=start,
            id=rng.integers(1, 2**63, n, dtype=np.uint64),
            visitor=visitor,
            member=member,
            returning=returning,
            channel=channel,
            agent=agent,
            place=place,
            product=product,
            second=np.where(has_second, second, -1),
            category=rng.integers(0, len(shop.categories), n),
            quantity=1 + (rng.random(n) < 0.08),
            coupon=rng.random(n) < table.coupons[channel],
            method=_pick(rng, table.methods, n),
            provider=_pick(rng, table.providers, n),
            shipping=_pick(rng, table.shipping, n),
            version=self._version(start, rng.random(n)),
            variant=_variants(visitor, shop),
        )

    def _version(self, start: NDArray[np.int64], luck: NDArray[np.float64]) -> NDArray[np.int64]:
        """The last release whose rollout has reached the session."""
        version = np.zeros(len(start), dtype=np.int64)
        for index, release in enumerate(self.releases):
            version[(start - release.at_ms) / _ROLLOUT_MS > luck] = index
        return version

    def _pool(self, index: int) -> "_Pool":
        channel = self.shop.channels[index]
        daily = self.sessions_per_day * channel.share * channel.returning
        size = int(np.clip(daily * _POOL_DAYS, 1, _POOL_MOST))
        rng = self._rng(_POOL, index)
        return _Pool(
            visitor=rng.integers(1, 2**63, size, dtype=np.uint64),
            member=np.where(rng.random(size) < 0.6, rng.integers(10_000, 10_000_000, size), 0),
            agent=_pick_by(rng, self._tables.audiences, np.full(size, index)),
            place=_pick(rng, self._tables.places, size),
        )

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, self._salt, stream, index])

    @cached_property
    def _tables(self) -> "_Tables":
        shop = self.shop
        audience = np.zeros((len(shop.channels), len(AGENT_NAMES)))
        for row, channel in enumerate(shop.channels):
            for name, weight in shop.audiences[channel.audience].items():
                audience[row, AGENT_NAMES.index(name)] = weight
        return _Tables(
            audiences=np.array([_cumulative(row) for row in audience]),
            returning=np.array([channel.returning for channel in shop.channels]),
            coupons=np.array([channel.coupon_share for channel in shop.channels]),
            places=_cumulative(list(shop.places.values())),
            products=_cumulative([product.popularity for product in shop.products]),
            methods=_cumulative(list(shop.payment_methods.values())),
            providers=_cumulative(list(shop.payment_providers.values())),
            shipping=_cumulative(list(shop.shipping_methods.values())),
        )


@dataclass(frozen=True)
class _Pool:
    """A channel's regulars: each keeps identity, device and place from visit to visit."""

    visitor: NDArray[np.uint64]
    member: NDArray[np.int64]
    agent: NDArray[np.int64]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class _Tables:
    """The shop's weights as cumulative arrays."""

    audiences: NDArray[np.float64]
    returning: NDArray[np.float64]
    coupons: NDArray[np.float64]
    places: NDArray[np.float64]
    products: NDArray[np.float64]
    methods: NDArray[np.float64]
    providers: NDArray[np.float64]
    shipping: NDArray[np.float64]


def _hour(moment: datetime) -> float:
    return moment.hour + moment.minute / 60


def _rhythm(hours: tuple[float, ...], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative rate at fractional local hours, mean 1 over a day."""
    return np.interp(at, np.arange(25), (*hours, hours[0])) / np.mean(hours)


def _cumulative(weights: list[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(weights)
    return total / total[-1]


def _pick(rng: np.random.Generator, cumulative: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    return np.searchsorted(cumulative, rng.random(n), side="right")


def _pick_by(rng: np.random.Generator, cumulative: NDArray[np.float64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """One draw for each entry of `row` from that row's weights."""
    return (rng.random(len(row))[:, None] >= cumulative[row]).sum(axis=1)


def _variants(visitor: NDArray[np.uint64], shop: Shop) -> NDArray[np.int64]:
    """A visitor's variant in each experiment: other bits of the same random number, so it never changes."""
    columns = [
        (visitor >> np.uint64(7 * position + 3)) % np.uint64(len(variants))
        for position, variants in enumerate(shop.experiments.values())
    ]
    return np.array(columns, dtype=np.int64).T.reshape(len(visitor), len(columns))
