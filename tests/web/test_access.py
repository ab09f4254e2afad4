"""Who sees what: strangers nothing, viewers all but no button, admins everything; and nobody without a log-in."""

import pytest
from django.test import Client

from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import Project

PAGES = ("", "incidents/", "funnel/", "changes/", "live/", "health/", "settings/")
ACTS = (("status", {"status": "acknowledged"}), ("assign", {"seen": ""}), ("comment", {"text": "x"}), ("feedback", {"verdict": "real"}))
SETUP = ("project/", "keys/", "tokens/", "channels/", "members/", "funnels/storefront/")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_for_members_only(alice: Client, bob: Client, charlie: Client, page: str) -> None:
    assert alice.get(f"/p/loomlane/{page}").status_code == 200
    assert bob.get(f"/p/loomlane/{page}").status_code == 200
    assert charlie.get(f"/p/loomlane/{page}").status_code == 404
    anonymous = Client().get(f"/p/loomlane/{page}")
    assert anonymous.status_code == 302
    assert anonymous.url.startswith("/login/")


def test_an_incident_is_for_members_only(alice: Client, bob: Client, charlie: Client, incident: Incident) -> None:
    address = f"/incidents/{incident.pk}/"
    assert [client.get(address).status_code for client in (alice, bob, charlie, Client())] == [200, 200, 404, 302]


@pytest.mark.parametrize(("act", "data"), ACTS)
def test_a_viewer_cannot_act(bob: Client, charlie: Client, incident: Incident, act: str, data: dict[str, str]) -> None:
    refused = bob.post(f"/incidents/{incident.pk}/{act}/", data)
    assert refused.status_code == 403
    assert "needs the role responder" in refused.content.decode()
    assert charlie.post(f"/incidents/{incident.pk}/{act}/", data).status_code == 404
    incident.refresh_from_db()
    assert incident.status == "open"
    assert incident.assignee is None
    assert incident.timeline.count() == 1


@pytest.mark.parametrize("form", SETUP)
def test_only_an_admin_sets_up(bob: Client, charlie: Client, shop: Project, form: str) -> None:
    assert bob.post(f"/p/loomlane/settings/{form}").status_code == 403
    assert charlie.post(f"/p/loomlane/settings/{form}").status_code == 404


def test_a_viewers_buttons_are_disabled_and_name_who_can(bob: Client, alice: Client, incident: Incident) -> None:
    body = bob.get(f"/incidents/{incident.pk}/").content.decode()
    assert 'disabled title="For responders and admins: alice"' in body
    assert "disabled" not in alice.get(f"/incidents/{incident.pk}/").content.decode()


def test_a_form_without_its_token_is_refused(alice: Client, incident: Incident) -> None:
    alice.handler.enforce_csrf_checks = True
    response = alice.post(f"/incidents/{incident.pk}/status/", {"status": "resolved"})
    assert response.status_code == 403
    incident.refresh_from_db()
    assert incident.status == "open"


def test_acts_need_a_post(alice: Client, incident: Incident) -> None:
    assert alice.get(f"/incidents/{incident.pk}/status/").status_code == 405


def test_home_leads_to_the_first_shop(alice: Client, charlie: Client) -> None:
    assert alice.get("/").url == "/p/loomlane/"
    assert "not a member of any shop" in charlie.get("/").content.decode()


def test_too_many_wrong_passwords_wait_even_with_the_right_one(alice: Client) -> None:
    guesser = Client()
    for _ in range(5):
        assert guesser.post("/login/", {"username": "alice", "password": "wrong"}).status_code == 200
    blocked = guesser.post("/login/", {"username": "alice", "password": "correct horse battery"})
    assert blocked.status_code == 429
    assert blocked.headers["Retry-After"] == "900"
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    assert elsewhere.post("/login/", {"username": "alice", "password": "correct horse battery"}).status_code == 302


def test_login_does_not_lead_to_another_site(alice: Client) -> None:
    response = Client().post("/login/", {"username": "alice", "password": "correct horse battery", "next": "https://evil.example/"})
    assert response.url == "/"
