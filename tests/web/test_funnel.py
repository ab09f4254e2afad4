"""The funnel page counts what is stored, for any time, and tells what became of those who left."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.pipeline.funnels import counted
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events
from tests.rollup.histories import Deeds, a_session
from tests.web.conftest import NOW, text_of

DAY = 1_440
#: A day nobody has on a page by default, in the evening: in Kolkata it is the next morning.
OLD = clock.to_minute(datetime.fromisoformat("2021-01-30T22:00:00Z"))
LEFT: list[Deeds] = [
    [(0, "view_item"), (60, "payment_failed/card_declined")],
    [(0, "view_item"), (20, "web_vital"), (60, "payment_failed/card_declined")],
    [(0, "view_item"), (60, "payment_failed/card_declined")],
    [(0, "view_item"), (600, "search")],
    [(0, "view_item")],
]
BOUGHT: list[Deeds] = [[(0, "view_item"), (130, "purchase")]] * 3


@pytest.fixture
def visited(shop: Project) -> Callable[[int], None]:
    """Five who left and three who bought, at that minute; counted as the watch would have."""

    def happen(minute: int) -> None:
        store = pipeline.runtime().client
        visits = [a_session(shop.pk, f"{minute}-{n}", minute + n, deeds, device="mobile") for n, deeds in enumerate([*LEFT, *BOUGHT])]
        events.insert(store, [event for visit in visits for event in visit], f"visits-{shop.pk}-{minute}")
        day = minute // DAY * DAY
        definition = counted(store, shop, Funnel.objects.get(project=shop).definition(), day, day + DAY)
        assert definition
        roll_up(store, definition, "", day, day + DAY)

    return happen


def test_history_that_lies_years_back_is_found_and_shown(alice: Client, visited: Callable[[int], None]) -> None:
    visited(OLD)
    page = alice.get("/p/loomlane/funnel/?by=browser")
    assert "No funnel to show for this time The newest events before are of 2021-01-31" in text_of(page)
    assert 'href="?by=browser&amp;until=2021-01-31&amp;period=7d"' in page.content.decode()
    text = text_of(alice.get("/p/loomlane/funnel/?until=2021-01-31&period=7d"))
    assert "3 orders from 8 products." in text
    assert "5 left here" in text
    assert "Not seen for 7 days up to then" in text
    assert "Half within 3 min" in text
    assert "Nobody entered the funnel in this time." in text_of(alice.get("/p/loomlane/funnel/?until=2021-02-05&period=3h"))


def test_a_day_ends_where_the_shop_is(alice: Client, visited: Callable[[int], None]) -> None:
    visited(OLD)
    assert "Nobody entered the funnel" not in text_of(alice.get("/p/loomlane/funnel/?until=2021-01-31&period=24h"))
    assert "No funnel to show" in text_of(alice.get("/p/loomlane/funnel/?until=2021-01-30&period=24h"))


def test_those_who_left_are_told_by_what_they_did_next(alice: Client, visited: Callable[[int], None]) -> None:
    visited(OLD)
    text = text_of(alice.get("/p/loomlane/funnel/?until=2021-01-31"))
    assert "Saw a payment error: card declined 60 % Left the shop 20 % Searched 20 % Of 5 who had the time to go on" in text


def test_those_who_may_still_go_on_have_not_left(alice: Client, visited: Callable[[int], None]) -> None:
    visited(clock.to_minute(NOW) - 12)
    text = text_of(alice.get("/p/loomlane/funnel/?period=15m"))
    assert "5 were here a short while ago and may still go on." in text
    assert "Nobody went on in this time." in text


def test_how_long_it_took_is_told_of_those_who_had_the_time(alice: Client, visited: Callable[[int], None]) -> None:
    visited(clock.to_minute(NOW) - 70)
    text = text_of(alice.get("/p/loomlane/funnel/?period=15m"))
    assert "Half within 3 min, 90 % within 3 min" in text.replace("\u202f", " ")


def test_a_shop_that_sends_one_step_is_told_what_is_missing(alice: Client, shop: Project) -> None:
    made = a_session(shop.pk, "one", clock.to_minute(NOW) - 5, [(0, "page_view")])
    events.insert(pipeline.runtime().client, made, f"one-step-{shop.pk}")
    text = text_of(alice.get("/p/loomlane/funnel/"))
    assert "No funnel to show yet" in text
    assert "At least two of its steps have to be collected." in text


def test_a_page_of_now_stays_one_when_a_filter_changes(alice: Client, visited: Callable[[int], None]) -> None:
    visited(clock.to_minute(NOW) - 200)
    for until in ("", NOW.date().isoformat(), "2099-01-01"):
        assert 'name="until" value=""' in alice.get("/p/loomlane/funnel/", {"until": until}).content.decode()


@pytest.mark.parametrize("until", ["yesterday", "9999-12-31", "0001-01-01", "2021-13-40", "2099-01-01", ""])
def test_a_day_that_cannot_be_is_now(alice: Client, visited: Callable[[int], None], until: str) -> None:
    visited(clock.to_minute(NOW) - 200)
    assert "3 orders from 8 products." in text_of(alice.get("/p/loomlane/funnel/", {"until": until}))
