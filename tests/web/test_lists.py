"""Incident list, change feed and live view: filters, words, and nothing of another shop."""

import json
import time
from datetime import timedelta

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import ChangeRow, Project
from funnelwatch.store.queries import recent
from tests.web.conftest import text_of


def test_the_list_counts_and_prices_what_is_open(alice: Client, incident: Incident) -> None:
    text = text_of(alice.get("/p/loomlane/incidents/"))
    assert "1 open, ₹3.4 lakh at risk per hour. 1 without an owner." in text
    assert "Shipping → payment fell 18 % (62.1 → 50.9 %) for iOS Safari · ig_sale" in text
    assert "CDN config v482 86 %" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [("tab=open", 1), ("tab=resolved", 0), ("severity=critical", 1), ("severity=low", 0), ("q=v482", 1), ("q=nothing", 0), ("q=SAFARI", 1), ("severity=nonsense", 1), ("page=junk", 1)],
)  # fmt: skip
def test_filters(alice: Client, incident: Incident, query: str, found: int) -> None:
    page = alice.get(f"/p/loomlane/incidents/?{query}")
    assert len(page.context["open_lines"]) == found
    if not found:
        assert "Nothing found" in page.content.decode()


def test_replayed_incidents_are_kept_apart_from_live_ones(alice: Client, incident: Incident) -> None:
    Incident.objects.update(run_id="march")
    assert len(alice.get("/p/loomlane/incidents/").context["open_lines"]) == 0
    assert len(alice.get("/p/loomlane/incidents/?run=march").context["open_lines"]) == 1


def test_a_search_is_shown_as_text_not_as_markup(alice: Client, incident: Incident) -> None:
    body = alice.get("/p/loomlane/incidents/", {"q": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert(1)" not in body


def test_a_change_names_its_author_reach_source_and_the_incident_it_is_suspected_of(alice: Client, incident: Incident) -> None:
    ChangeRow.objects.update(scope={"browser": ["Safari"]})
    text = text_of(alice.get("/p/loomlane/changes/"))
    assert "1 change in the last 24 hours. 1 likely behind an incident." in text
    assert "CDN config v482 Karan S. CDN Browser Safari edge a41c9e2" in text
    assert f"INC-{incident.pk} 86 %" in text


def test_other_shops_are_not_listed(alice: Client, incident: Incident, shop: Project) -> None:
    other = Project.objects.create(organisation=shop.organisation, name="other")
    Incident.objects.update(project=other)
    ChangeRow.objects.update(project=other)
    assert not alice.get("/p/loomlane/incidents/").context["any"]
    assert not alice.get("/p/loomlane/changes/").context["any"]


@pytest.fixture
def messages(shop: Project) -> None:
    at = time.time_ns() // 1_000_000  # the store forgets what is an hour old by its own clock
    rows = [
        {"project_id": shop.pk, "at": at - 1000, "message_id": "a", "name": "purchase", "outcome": "accepted", "notes": [{"step": "user_agent", "set": {"device": "mobile"}}], "scrubbed": {"device": "mobile", "value": "1290"}},
        {"project_id": shop.pk, "at": at - 2000, "message_id": "b", "name": "page_view", "outcome": "missing_identity", "notes": [{"step": "validate", "dropped": "missing_identity", "why": "send anonymousId or userId"}], "scrubbed": {}},
        {"project_id": shop.pk + 1_000_000, "at": at, "message_id": "c", "name": "not_ours", "outcome": "accepted", "notes": [], "scrubbed": {}},
    ]  # fmt: skip
    recent.insert(pipeline.runtime().client, rows)


def test_the_live_view_shows_what_each_step_did_and_why_a_message_was_rejected(alice: Client, messages: None) -> None:
    text = text_of(alice.get("/p/loomlane/live/"))
    assert "purchase accepted mobile · 1290" in text
    assert "User agent device mobile" in text
    assert "page_view rejected neither anonymousId nor userId" in text
    assert "refused: send anonymousId or userId" in text
    assert "not_ours" not in text


@pytest.mark.parametrize(("query", "names"), [("outcome=rejected", ["page_view"]), ("outcome=accepted", ["purchase"]), ("name=purch", ["purchase"]), ("name=zzz", [])])
def test_the_live_view_filters(alice: Client, messages: None, query: str, names: list[str]) -> None:
    page = alice.get(f"/p/loomlane/live/?{query}")
    assert [row["name"] for row in page.context["rows"]] == names


def test_chart_data_cannot_end_its_script_element(alice: Client, incident: Incident) -> None:
    ChangeRow.objects.update(title="</script><b>x")
    body = alice.get(f"/incidents/{incident.pk}/").content.decode()
    assert "</script><b>x" not in body
    block = body.split('id="chartdata" type="application/json">')[1].split("</script>")[0]
    assert json.loads(block)["changes"][0]["title"] == "</script><b>x"


def test_a_rate_is_drawn_in_percent_and_gaps_stay_gaps(alice: Client, incident: Incident) -> None:
    chart = alice.get(f"/incidents/{incident.pk}/").context["chart"]
    assert chart["series"]["cohort"]["y"][0] == 62.0
    assert chart["series"]["cohort"]["y"][47] is None
    assert chart["cp"]["label"] == "Change 14:32"
    assert [change["cause"] for change in chart["changes"]] == [True]


def test_days_are_those_of_the_shop(alice: Client, incident: Incident) -> None:
    # 20:00 UTC is half past one of the next day in Kolkata.
    Incident.objects.update(status="resolved", started_at=incident.started_at.replace(day=20, hour=20), resolved_at=incident.started_at + timedelta(minutes=1))
    assert "Earlier today" in text_of(alice.get("/p/loomlane/incidents/"))
