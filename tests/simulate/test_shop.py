"""The shop behaves as its parameters say: volumes, rhythm, rates, delays, visitors, devices."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
import ua_parser

from funnelwatch.simulate.agents import AGENT_LIST
from funnelwatch.simulate.journey import Journey, step_chances
from funnelwatch.simulate.shop import HIGH_INTENT, STOREFRONT, Shop
from funnelwatch.simulate.traffic import CHUNK_MS, MINUTE_MS, Traffic

SHOPS = pytest.mark.parametrize("shop", [HIGH_INTENT, STOREFRONT], ids=lambda shop: shop.name)
WEEK_START = int(datetime(2026, 10, 5, tzinfo=UTC).timestamp() * 1000)  # a Monday
PER_DAY = 40_000


def chunks(traffic: Traffic, hours: float):
    first = WEEK_START // CHUNK_MS
    return [traffic.chunk(first + n) for n in range(round(hours * 4))]


@SHOPS
def test_a_week_has_the_sessions_that_were_asked_for(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=1)
    minutes = WEEK_START + np.arange(0, 7 * 1440, 5) * MINUTE_MS
    assert traffic.rates(minutes).sum() * 5 == pytest.approx(7 * PER_DAY, rel=0.05)  # slow noise averages out in part


@SHOPS
def test_sessions_of_a_day_are_a_poisson_draw_of_the_rates_by_channel(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=2)
    counted = np.zeros(len(shop.channels))
    for sessions, _ in chunks(traffic, 24):
        counted += np.bincount(sessions.channel, minlength=len(shop.channels))
    expected = traffic.rates(WEEK_START + np.arange(1440) * MINUTE_MS).sum(axis=1)
    bursts = shop.minute_noise * expected / 1440**0.5
    assert (abs(counted - expected) < 4 * np.sqrt(expected + bursts**2)).all()


def test_the_evening_of_the_shop_s_own_time_zone_is_its_rush():
    traffic = Traffic(HIGH_INTENT, PER_DAY, seed=1)
    rush = WEEK_START + (20 * 60 - 330) * MINUTE_MS  # 20:00 in India
    night = WEEK_START + (27 * 60 - 330) * MINUTE_MS
    evening, small_hours = traffic.rates(np.array([rush, night])).sum(axis=0)
    assert evening > 8 * small_hours


@SHOPS
def test_the_steps_pass_at_the_chances_of_the_parameters(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=3)
    passed, entered, expected, variance = (np.zeros(5) for _ in range(4))
    for sessions, rng in chunks(traffic, 24):
        journey = Journey(sessions, rng, traffic.rate_noise)
        for step in range(5):
            there = journey.depth >= step
            chance = journey.chance[there, step]
            entered[step] += there.sum()
            passed[step] += (journey.depth[there] > step).sum()
            expected[step] += chance.sum()
            variance[step] += (chance * (1 - chance)).sum()
    assert (entered > 500).all()
    assert (abs(passed - expected) < 4 * np.sqrt(variance)).all()


@SHOPS
def test_payments_go_through_retry_and_fail_as_often_as_the_parameters_say(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=4)
    tried = declined = paid = sessions_paying = 0
    for sessions, rng in chunks(traffic, 24):
        payments = Journey(sessions, rng, traffic.rate_noise).settle()
        tried, declined = tried + payments.tried.sum(), declined + payments.declined.sum()
        paid, sessions_paying = paid + payments.paid.sum(), sessions_paying + payments.tried[:, 0].sum()
    refusal = (1 - shop.payment_abandon) * shop.payment_failure
    success = (1 - shop.payment_abandon) * (1 - shop.payment_failure)
    again = refusal * shop.retry
    for count, total, chance in (
        (declined, tried, refusal),
        (paid, sessions_paying, success * (1 + again + again**2)),
    ):
        assert abs(count - total * chance) < 4 * (total * chance * (1 - chance)) ** 0.5


def test_the_high_intent_shop_has_eight_in_ten_add_to_cart_and_half_of_all_reach_payment():
    traffic = Traffic(HIGH_INTENT, PER_DAY, seed=5)
    sessions, _ = traffic.chunk(WEEK_START // CHUNK_MS + 60)
    human = sessions.keep(~sessions.matches({"device": "bot"}))
    chances = step_chances(human, traffic.rate_noise)
    assert chances[:, 1].mean() > 0.75
    assert chances.prod(axis=1).mean() > 0.5


def test_crawlers_never_buy():
    traffic = Traffic(STOREFRONT, PER_DAY, seed=6)
    for sessions, rng in chunks(traffic, 3):
        journey = Journey(sessions, rng, traffic.rate_noise)
        assert (journey.depth[sessions.matches({"device": "bot"})] <= 1).all()


@SHOPS
def test_times_to_the_next_step_have_the_medians_of_the_parameters(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=7)
    sessions, rng = traffic.chunk(WEEK_START // CHUNK_MS + 60)
    journey = Journey(sessions, rng, traffic.rate_noise)
    seconds = np.median(np.diff(journey.at, axis=1)[:, 1:], axis=0) / 1000
    tolerance = 4 * 1.2533 * np.array(shop.spreads[1:5]) / len(sessions) ** 0.5  # of a median, log scale
    assert (abs(np.log(seconds / shop.delays[1:5])) < tolerance).all()


def test_a_regular_keeps_device_place_and_customer_number():
    traffic = Traffic(HIGH_INTENT, PER_DAY, seed=8)
    traits: dict[int, set[tuple[int, int, int, tuple[int, ...]]]] = {}
    visits: Counter[int] = Counter()
    for sessions, _ in chunks(traffic, 48):
        rows = zip(sessions.visitor, sessions.agent, sessions.place, sessions.member, sessions.variant, strict=True)
        for visitor, agent, place, member, variant in rows:
            visits[int(visitor)] += 1
            traits.setdefault(int(visitor), set()).add((agent, place, member, tuple(variant)))
    assert max(visits.values()) >= 3
    assert all(len(seen) == 1 for seen in traits.values())


@SHOPS
def test_new_and_returning_visitors_have_the_same_devices(shop: Shop):
    traffic = Traffic(shop, PER_DAY, seed=9)
    phones = {True: [], False: []}
    for sessions, _ in chunks(traffic, 24):
        mine = sessions.channel == 0
        for returning in (True, False):
            phones[returning] += (sessions.matches({"os": "iOS"})[mine & (sessions.returning == returning)]).tolist()
    assert np.mean(phones[True]) == pytest.approx(np.mean(phones[False]), abs=0.03)


@SHOPS
def test_channel_shares_are_whole_and_every_audience_is_known(shop: Shop):
    assert sum(channel.share for channel in shop.channels) == pytest.approx(1.0)
    assert {channel.audience for channel in shop.channels} <= set(shop.audiences)
    assert len(shop.products) == len({product.sku for product in shop.products}) == 40


@pytest.mark.parametrize("agent", AGENT_LIST, ids=lambda agent: f"{agent.os} {agent.browser} {agent.browser_version}")
def test_a_user_agent_parser_reads_the_families_from_the_string(agent):
    found = ua_parser.parse(agent.user_agent)
    family = found.user_agent.family.replace("Mobile Safari", "Safari").replace("Chrome Mobile", "Chrome")
    assert family.removesuffix(" iOS").removesuffix(" WebView") == agent.browser
    if agent.device != "bot":
        assert found.os.family == agent.os
        assert agent.os_version.split(".")[0] == found.os.major
    assert agent.browser_version.split(".")[0] == found.user_agent.major
