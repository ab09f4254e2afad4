"""Which messages the live view gets to see."""

from funnelwatch.ingest.sample import Sampler
from tests.ingest.conftest import Node


def test_whoever_clicks_through_a_shop_sees_every_message_of_every_page(node: Node) -> None:
    for page in range(4):
        made = [{"type": "track", "event": f"page {page} message {number}", "anonymousId": "v"} for number in range(14)]
        node.batch(*made, {"type": "track", "anonymousId": "v", "messageId": f"bad {page}"})
    rows = node.live(60)
    assert len({row["name"] for row in rows if row["outcome"] == "accepted"}) == 56
    assert [row["outcome"] for row in rows].count("missing_event") == 4


def test_a_busy_shop_is_sampled_ten_a_second_and_its_neighbour_is_not() -> None:
    sampler = Sampler()
    noted = drops = 0
    for millisecond in range(0, 20_000, 10):
        granted, rejected = sampler.grant(1, 30, 1_000_000 + millisecond)
        sampler.shown(1, min(1, rejected))
        noted, drops = noted + granted, drops + min(1, rejected)
    assert 290 <= noted <= 301
    assert 1_090 <= drops <= 1_101
    assert sampler.grant(2, 30, 1_020_000)[0] == 30


def test_a_clock_set_back_neither_fills_nor_empties_the_budget() -> None:
    sampler = Sampler()
    assert sampler.grant(1, 90, 1_000_000)[0] == 90
    assert sampler.grant(1, 90, 0)[0] == 10
    assert sampler.grant(1, 90, 1_000_000)[0] == 0
    assert sampler.grant(1, 90, 1_001_000)[0] == 10


def test_what_the_live_view_shows_is_scrubbed_wherever_it_stands(node: Node) -> None:
    node.batch({"type": "track", "event": "Contact\nanna@example.com", "anonymousId": "v", "properties": {"n": 4111111111111111, "url": "/cart?token=SECRET"}})
    (row,) = node.live(1)
    assert row["name"] == "Contact\n[email]"
    for secret in ("anna", "4111", "SECRET"):
        assert secret not in str(row)
