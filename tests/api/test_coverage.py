"""Coverage by API and on the health page: orders of the shop's servers against what the SDK saw of them."""

from typing import Any

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.projects.models import Project
from funnelwatch.store.queries import events
from tests.web.conftest import NOW, text_of

AT = int(NOW.timestamp()) * 1000 - 3_600_000
DAY = {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:14:00Z"}


@pytest.fixture
def orders(shop: Project) -> None:
    """Five orders from Chrome, all seen; five from Safari, none."""
    made = []
    for number in range(10):
        browser, who = "Chrome" if number < 5 else "Safari", f"v{number}"
        names = [("page_view", "browser", ""), ("purchase", "server", f"o{number}"), *([("purchase", "browser", f"o{number}")] if number < 5 else [])]
        made += [
            Event(project_id=shop.pk, message_id=f"{number}-{at}", name=name, ts=AT + at * 1_000, received_at=AT, channel=channel, order_id=order,
                  visitor_id=who, browser="" if channel == "server" else browser)
            for at, (name, channel, order) in enumerate(names)
        ]  # fmt: skip
    events.insert(pipeline.runtime().client, made, f"coverage-page-{shop.pk}")


def test_a_viewer_reads_how_many_orders_each_browser_lost(as_role: Any, shop: Project, orders: None) -> None:
    answer = as_role("viewer").get("/api/v1/coverage/", DAY).json()
    assert (answer["from"], answer["to"]) == (DAY["from"], DAY["to"])
    shares = {row["value"]: (row["server"], row["both"], row["coverage"]) for row in answer["results"] if row["dimension"] == "browser"}
    assert shares == {"Chrome": (5, 5, 1.0), "Safari": (5, 0, 0.0)}
    everyone = answer["results"][0]
    assert everyone["interval"] == pytest.approx([0.2366, 0.7634], abs=1e-3)


def test_coverage_is_the_callers_own_shops_and_of_a_week_at_most(as_role: Any, shop: Project, orders: None, charlie: Client) -> None:
    other = Project.objects.create(pk=shop.pk + 1_000_000, organisation=shop.organisation, name="other")
    assert as_role("viewer", other).get("/api/v1/coverage/", DAY).json()["results"] == []
    assert charlie.get("/api/v1/coverage/?project=loomlane").status_code == 400
    assert Client().get("/api/v1/coverage/").status_code == 401
    assert as_role("viewer").get("/api/v1/coverage/", DAY | {"from": "2026-11-01T00:00:00Z"}).status_code == 400


def test_the_schema_says_what_a_row_of_coverage_holds(as_role: Any) -> None:
    schema = Client(headers={"Accept": "application/json"}).get("/api/schema/?format=json").json()
    assert set(schema["components"]["schemas"]["Coverage"]["properties"]) == {"from", "to", "results"}
    assert {"server", "both", "coverage", "interval"} <= set(schema["components"]["schemas"]["CoverageRow"]["properties"])


def test_the_health_page_shows_which_browsers_lose_orders(bob: Client, orders: None) -> None:
    page = text_of(bob.get("/p/loomlane/health/"))
    assert "All 10 5 50.0 % 23.7 % to 76.3 %" in page
    assert "Browser Safari 5 0 0.0 %" in page
    assert "Browser Chrome 5 5 100.0 %" in page


def test_without_orders_from_a_server_the_page_says_how_to_send_them(bob: Client) -> None:
    assert "No server-side orders Send each purchase with its order_id from your server too" in text_of(bob.get("/p/loomlane/health/"))
