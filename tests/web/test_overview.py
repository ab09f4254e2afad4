"""The overview says the numbers a tick stored, and says so when there are none."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from funnelwatch.core import clock
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import ChangeRow, Project
from funnelwatch.store.client import StoreUnavailable
from funnelwatch.web.data import stored
from tests.web.conftest import NOW, ONSET, text_of

Save = Callable[[dict[str, Any]], None]


def test_facts_and_steps_are_the_stored_numbers(alice: Client, incident: Incident, overview: dict[str, Any], save_overview: Save) -> None:
    save_overview(overview)
    text = text_of(alice.get("/p/loomlane/"))
    assert "Shipping → payment fell 18 % for one group of shoppers." in text
    assert "1 of 2 steps are inside their expected range for the whole store." in text
    assert "₹3.4 lakh per hour" in text
    assert "100 % in INC-" in text
    assert "₹78.4 lakh Expected ₹79.8 lakh, −1.8 %" in text
    assert "1,284 per second" in text
    assert "Newest is 4 s old" in text
    assert "0.02 % rejected" in text
    assert "11.1 % −0.3 pp in range" in text
    assert "58.0 % −5.4 pp below range" in text
    assert "Not collected: this step was not seen for 7 days." in text
    assert "iOS Safari · ig_sale 50.9 % 18 %" in text
    assert "−6.1" in text


def test_a_worst_cohort_links_to_its_incident(alice: Client, incident: Incident, overview: dict[str, Any], save_overview: Save) -> None:
    overview["steps"][2] |= {"step_from": "add_shipping_info", "step_to": "add_payment_info"}
    save_overview(overview)
    assert f'class="step__coh is-bad" href="/incidents/{incident.pk}/"' in alice.get("/p/loomlane/").content.decode()


def test_a_new_store_gets_the_snippet_with_its_key(alice: Client) -> None:
    body = alice.get("/p/loomlane/").content.decode()
    assert "Waiting for the first event" in body
    assert "http://testserver/js/wk_known.js" in body


def test_all_well_says_what_was_checked(alice: Client, overview: dict[str, Any], save_overview: Save) -> None:
    del overview["steps"][2]
    save_overview(overview)
    text = text_of(alice.get("/p/loomlane/"))
    assert "All is well. For the whole store all 1 steps are inside their expected range; 1,240 cohorts are watched." in text
    assert "No open incidents" in text


def test_old_numbers_are_marked_as_old(alice: Client, overview: dict[str, Any], save_overview: Save) -> None:
    save_overview(overview)
    with clock.at(NOW + timedelta(minutes=10)):
        text = text_of(alice.get("/p/loomlane/"))
    assert "The numbers stand still. They are from 14:44" in text


def test_incidents_stay_readable_while_the_event_store_is_away(alice: Client, incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StoreUnavailable("no answer from 9000")

    monkeypatch.setattr(stored, "client", away)
    text = text_of(alice.get("/p/loomlane/"))
    assert "No measured numbers." in text
    assert "Shipping → payment fell 18 %" in text
    assert alice.get(f"/incidents/{incident.pk}/").status_code == 200
    Incident.objects.all().delete()
    assert "Waiting for the first event" not in text_of(alice.get("/p/loomlane/"))
    assert "The event store cannot be reached." in text_of(alice.get("/p/loomlane/funnel/"))
    assert "The event store cannot be reached." in text_of(alice.get("/p/loomlane/live/"))


def test_labels_on_the_strip_never_cover_one_another(alice: Client, shop: Project) -> None:
    for number in range(6):
        ChangeRow.objects.create(project=shop, kind="deploy", title=f"release {number} with a long name", started_at=ONSET + timedelta(minutes=number), source="ci", external_id=str(number))
    points = alice.get("/p/loomlane/changes/").context["strip"]["lanes"][0]["points"]
    assert len(points) == 6
    assert sum(bool(point["side"]) for point in points) <= 2
