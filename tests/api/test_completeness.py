"""Recent numbers come with the share of them that is in by now: a history of known lags, and answers worked out by hand.

Every minute has four visits from a search engine, known at once, and four from an app, of which two are known ten minutes later. Every
other visit puts something into the cart, a minute after it looked.
"""

from collections.abc import Iterator
from datetime import timedelta
from math import sqrt
from typing import Any

import numpy as np
import pytest

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.events import Event
from funnelwatch.pipeline.funnels import watched_funnels
from funnelwatch.pipeline.rolling import roll_up_new
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.store.client import Client
from funnelwatch.store.queries import arrival, events, funnels
from funnelwatch.store.queries.span import Span
from tests.web.conftest import NOW

V1 = "/api/v1"
A = clock.to_minute(NOW)
SETTLED = 2 * 1_440
#: Minutes to learn from, and those asked about: at the end of minute A the latter are 20 to 1 minutes old.
PAST, RECENT = range(A - SETTLED - 300, A - SETTLED - 100), range(A - 20, A)
APP, SEARCH, SMALL = (Cohort.of({"source": name}) for name in ("app", "google", "small"))


@pytest.fixture(autouse=True)
def at_the_minutes_end(at_now: None) -> Iterator[None]:
    with clock.at(NOW + timedelta(milliseconds=59_999)):
        yield


def visits(project: Project, minutes: range, source: str, count: int, lag: int = 0) -> list[Event]:
    """`count` visits each minute, of which every other one goes on a minute later; all known `lag` minutes after they happened."""
    made = []
    for visitor, minute in ((f"{source}-{lag}-{minute}-{number}", minute) for minute in minutes for number in range(count)):
        for step, name in enumerate(("view_item", "add_to_cart")[: 1 + (visitor[-1] in "02")]):
            ts = (minute + step) * 60_000 + 5_000
            made.append(Event(project_id=project.pk, message_id=f"{visitor}-{step}", name=name, ts=ts, received_at=ts + lag * 60_000,
                              visitor_id=visitor, session_id="s", source=source))  # fmt: skip
    return made


def a_history(project: Project, minutes: range) -> list[Event]:
    return visits(project, minutes, "google", 4) + visits(project, minutes, "app", 2) + visits(project, minutes, "app", 2, lag=10)


@pytest.fixture
def client(shop: Project) -> Client:
    """The store of this process with the shop's recent minutes rolled up."""
    store = pipeline.start().client
    events.insert(store, a_history(shop, RECENT) + visits(shop, range(A - 5, A - 4), "small", 2), f"recent-{shop.pk}")
    roll_up_new(store, shop)
    return store


@pytest.fixture
def learned(client: Client, shop: Project) -> Client:
    """And its settled past: 50 visits of a small source, and 100 of the search engine that are known 4,000 minutes later."""
    first = range(PAST.start, PAST.start + 50)
    more = visits(shop, first[:25], "small", 2) + visits(shop, first, "google", 2, lag=4_000)
    events.insert(client, a_history(shop, PAST) + more, f"past-{shop.pk}")
    roll_up_new(client, shop)
    return client


def test_a_source_that_comes_late_has_its_own_share_and_a_small_one_everyones(as_role: Any, learned: Client, shop: Project) -> None:
    funnel = watched_funnels(learned, shop, (A - 100) * 60_000, A * 60_000)[0].collected
    asked = {"from": clock.from_minute(RECENT.start).isoformat(), "to": NOW.isoformat(), "by": "source"}
    answer = as_role("viewer").get(f"{V1}/funnels/{Funnel.objects.get().pk}/report", asked).json()
    groups = {Cohort.from_json(group["cohort"]): group["steps"] for group in answer["groups"]}
    span = Span(funnel, RECENT.start, RECENT.stop, A)
    # Of 80 looks of the app 9 minutes are half known; of 40 carts those of the last 10 minutes of looks.
    looks, carts = groups[APP]
    assert (looks["entered"], looks["complete_entered"]) == (62, near(62 / 80))
    assert (looks["converted"], looks["complete"]) == (30, near(30 / 40))
    assert (carts["complete"], funnels.counts(learned, span, APP)[0].complete_entered) == (None, near(looks["complete_entered"]))
    assert [(step["entered"], step["complete_entered"]) for step in groups[SEARCH]] == [(80, 1.0), (38, 1.0)]
    # Of everyone's 1,650 looks 400 came ten minutes late.
    punctual = 1250 / 1650
    assert (groups[SMALL][0]["complete_entered"], groups[SMALL][0]["complete"]) == (near(punctual), near(punctual))
    assert answer["steps"][0]["entered"] == 56 + 88
    assert answer["steps"][0]["complete_entered"] == near((56 + 88) / (56 / punctual + 88))


def test_a_step_reached_only_after_the_span_has_the_completeness_of_its_minutes(learned: Client, shop: Project) -> None:
    funnel = watched_funnels(learned, shop, (A - 100) * 60_000, A * 60_000)[0].collected
    for cohort, entered, converted in ((EVERYONE, 8, 4), (APP, 4, 2)):
        looks, carts = funnels.counts(learned, Span(funnel, RECENT.start, RECENT.start + 1, A), cohort)
        assert (looks.entered, looks.converted) == (entered, converted)
        assert (carts.entered, carts.complete_entered) == (0, 1.0)


def test_curves_are_learned_from_settled_minutes_as_known_then(learned: Client, shop: Project) -> None:
    funnel = watched_funnels(learned, shop, (A - 100) * 60_000, A * 60_000)[0].collected
    ages = np.array([-1, -0.75, 0, 9, 10, 5_000])

    def lag(as_of: int, cohort: Cohort = EVERYONE) -> Any:
        curve = arrival.learn(learned, funnel, "", as_of, by_source=True).lag(1, cohort)
        return curve and curve.at(ages).tolist()

    assert lag(A, APP) == [0, 0.125, 0.5, 0.5, 1, 1]
    assert lag(A, SEARCH) == [0, 0.25, 1, 1, 1, 1]
    assert lag(A) == lag(A, SMALL) == pytest.approx([0, 1250 / 6600, 1250 / 1650, 1250 / 1650, 1, 1])
    assert lag(PAST.stop + SETTLED - 200) is None  # its first minute is settled, and holds too few
    # What was late by 4,000 minutes is known by now, and the recent minutes are settled.
    assert lag(A + 4_000, SEARCH) == pytest.approx([0, 220 / 980, 880 / 980, 880 / 980, 880 / 980, 1])


def test_where_nothing_was_learned_yet_only_what_is_settled_is_called_complete(as_role: Any, client: Client, shop: Project) -> None:
    assert {row["complete"] for row in series(as_role, RECENT).values()} == {None}
    assert {(row["expected"], row["low"], row["high"]) for row in series(as_role, RECENT).values()} == {(None, None, None)}
    events.insert(client, visits(shop, PAST[:1], "google", 4), f"few-{shop.pk}")
    assert {row["complete"] for row in series(as_role, PAST).values()} == {1.0}
    report = as_role("viewer").get(f"{V1}/funnels/{Funnel.objects.get().pk}/report").json()
    assert (report["steps"][0]["complete"], report["steps"][0]["complete_entered"]) == (None, None)


def test_every_minute_of_a_series_has_its_range_and_its_completeness(as_role: Any, learned: Client, shop: Project) -> None:
    assert {row["expected"] for row in series(as_role, RECENT).values()} == {None}
    pipeline.learn_baselines(shop.pk, bands=False)
    # The app's four looks of a minute send two into the cart in the next one; of the last ten minutes half of that is known.
    app = series(as_role, RECENT, "source:app")
    for minute, known, variance in ((A - 15, 1.0, 1.0), (A - 5, 0.5, 0.75)):
        assert app[minute] == {
            "trials": 4 * known, "hits": 2 * known, "complete": near(known), "expected": near(2 * known),
            "low": near(max(0.0, 2 * known - 1.96 * sqrt(variance))), "high": near(2 * known + 1.96 * sqrt(variance)),
        }  # fmt: skip
    settled = series(as_role, PAST)[PAST.stop - 5]
    assert (settled["hits"], settled["complete"], settled["expected"]) == (4, 1.0, near(4))
    assert (settled["low"], settled["high"]) == (near(4 - 1.96 * sqrt(2)), near(4 + 1.96 * sqrt(2)))


def test_an_event_of_a_clock_that_runs_ahead_counts_as_known_at_once(client: Client, shop: Project) -> None:
    events.insert(client, visits(shop, range(A - 50, A - 49), "ahead", 4, lag=-2), f"ahead-{shop.pk}")
    roll_up_new(client, shop)
    funnel = watched_funnels(client, shop, (A - 100) * 60_000, A * 60_000)[0].collected
    looks, carts = funnels.counts(client, Span(funnel, A - 50, A - 40, A), Cohort.of({"source": "ahead"}))
    assert (looks.entered, looks.converted, carts.entered) == (4, 2, 2)


def series(as_role: Any, minutes: range, *cohort: str) -> dict[int, dict[str, Any]]:
    """The API's answer by epoch minute."""
    asked = {"step": "view_item->add_to_cart", "from": clock.from_minute(minutes.start).isoformat(), "to": clock.from_minute(minutes.stop).isoformat(), "cohort": cohort}
    rows = as_role("viewer").get(f"{V1}/series/", asked).json()["results"]
    return dict(zip(minutes, ({name: value for name, value in row.items() if name != "at"} for row in rows), strict=True))


def near(value: float) -> Any:
    """The minute is not quite over."""
    return pytest.approx(value, abs=1e-3)
