"""The incident page says what is known and nothing else; acts leave a trace and tell who was first."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from funnelwatch.incidents.models import Delivery, Feedback, Incident
from funnelwatch.projects.models import AuditRow, Channel, Member, Project
from tests.web.conftest import NOW, text_of


def page(client: Client, incident: Incident) -> str:
    response = client.get(f"/incidents/{incident.pk}/")
    assert response.status_code == 200
    return text_of(response)


def act(client: Client, incident: Incident, what: str, **data: str) -> str:
    return text_of(client.post(f"/incidents/{incident.pk}/{what}/", data, follow=True))


def test_the_headline_is_one_sentence_with_step_size_group_time_and_money(alice: Client, incident: Incident) -> None:
    assert (
        "Shipping → payment conversion fell 18 % (62.1 → 50.9 %) for iOS Safari · ig_sale since 14:32; ₹3.4 lakh at risk per hour."
        in page(alice, incident)
    )


def test_every_fact_is_the_stored_number(alice: Client, incident: Incident) -> None:
    text = page(alice, incident)
    for fact in ("₹68,000", "about 53 orders", "516", "25 % of everyone at this step", "60.3 %", "inside its range 60.0 % – 66.8 %", "4 min"):
        assert fact in text


def test_the_likely_cause_comes_with_what_speaks_for_and_against_it(alice: Client, incident: Incident) -> None:
    text = page(alice, incident)
    assert "CDN config v482 Karan S., 14:25, 7 min before" in text
    assert "86 % very likely" in text
    assert "Time match strong Began 7 min before the drop" in text
    assert "Against it: 6 % of the lost are on Android." in text
    assert "OS version −2.9" in text
    assert "web 5.18.2 51 minutes too early" in text
    assert "Something else or unknown: 4 %" in text


def test_who_detectors_and_playbook_are_shown(alice: Client, incident: Incident) -> None:
    text = page(alice, incident)
    assert "Everyone 60.3 %" in text
    assert "516 sessions, −18 %, explains 91 %" in text
    assert "1 of 2 agree" in text
    assert "Delay-aware CUSUM" in text
    assert "0 of 1 done" in text
    assert "Put the previous config back" in text


def test_panels_without_data_are_left_out(alice: Client, incident: Incident) -> None:
    Incident.objects.update(chart={}, narrowing=[], detectors=[], impact={})
    incident.causes.all().delete()
    incident.playbook.all().delete()
    text = page(alice, incident)
    assert "No likely cause" in text
    assert "No orders are known to be lost" in text
    for absent in ("Who is affected", "Playbook:", "Show as table", "at risk", "Sessions affected"):
        assert absent not in text


def test_an_errors_incident_speaks_by_its_title(alice: Client, incident: Incident) -> None:
    Incident.objects.update(metric="errors", title="Failed payments rose 4.2-fold for Android", effect=3.2)
    assert "Failed payments rose 4.2-fold for Android, since 14:32; ₹3.4 lakh at risk per hour." in page(alice, incident)


def test_a_resolved_incident_says_when_it_ended_and_what_it_cost(alice: Client, incident: Incident) -> None:
    Incident.objects.update(status="resolved", resolved_at=NOW)
    text = page(alice, incident)
    assert "14:32 to 14:44. Over. ₹68,000 lost." in text
    assert "still open" not in text
    assert "Resolve " not in text


def test_acknowledging_leaves_a_timeline_row_an_audit_row_and_a_delivery(alice: Client, incident: Incident) -> None:
    channel = Channel.objects.create(project=incident.project, kind="webhook", name="Hook")
    Delivery.objects.create(incident=incident, channel=channel, event="opened", severity="critical", dedup_key="opened", sent_at=NOW)
    assert "Acknowledged." in act(alice, incident, "status", status="acknowledged")
    incident.refresh_from_db()
    assert incident.status == "acknowledged"
    assert [(row.kind, row.actor) for row in incident.timeline.all()][-1] == ("acknowledged", "alice")
    assert AuditRow.objects.get(action="incident.acknowledged").target == f"INC-{incident.pk}"
    assert Delivery.objects.filter(incident=incident, event="acknowledged").count() == 1


def test_the_slower_of_two_people_is_told_who_was_first(alice: Client, shop: Project, incident: Incident) -> None:
    dora = get_user_model().objects.create_user("dora")
    Member.objects.create(user=dora, project=shop, role="responder")
    slower = Client()
    slower.force_login(dora)
    act(alice, incident, "status", status="acknowledged")
    assert "alice was first: this incident is acknowledged already." in act(slower, incident, "status", status="acknowledged")
    assert incident.timeline.filter(kind="acknowledged").count() == 1


def test_taking_over_does_not_overrule_someone_who_just_did(alice: Client, shop: Project, incident: Incident) -> None:
    assert "This incident is yours." in act(alice, incident, "assign", seen="")
    dora = get_user_model().objects.create_user("dora")
    Member.objects.create(user=dora, project=shop, role="responder")
    slower = Client()
    slower.force_login(dora)
    assert "alice owns this incident already." in act(slower, incident, "assign", seen="")
    incident.refresh_from_db()
    assert incident.assignee.username == "alice"


@pytest.mark.parametrize(("verdict", "status"), [("real", "open"), ("false_alarm", "false_alarm"), ("expected", "expected")])
def test_a_verdict_is_kept_and_withdraws_what_was_no_problem(alice: Client, incident: Incident, verdict: str, status: str) -> None:
    act(alice, incident, "feedback", verdict=verdict)
    incident.refresh_from_db()
    assert incident.status == status
    assert Feedback.objects.get().verdict == verdict


def test_a_note_is_shown_as_text_not_as_markup(alice: Client, incident: Incident) -> None:
    alice.post(f"/incidents/{incident.pk}/comment/", {"text": "<img src=x onerror=alert(1)>"})
    body = alice.get(f"/incidents/{incident.pk}/").content.decode()
    assert "&lt;img src=x" in body
    assert "<img src=x" not in body


def test_an_empty_note_changes_nothing(alice: Client, incident: Incident) -> None:
    assert "A note needs some text." in act(alice, incident, "comment", text="  ")
    assert not incident.timeline.filter(kind="comment").exists()


def test_a_background_act_answers_with_the_page_and_a_toast(alice: Client, incident: Incident) -> None:
    response = alice.post(f"/incidents/{incident.pk}/status/", {"status": "resolved"}, headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert response.headers["HX-Trigger"] == '{"toast": "Resolved."}'
    assert 'id="incident"' in response.content.decode()


def test_similar_incidents_are_earlier_ones_at_the_same_step(alice: Client, incident: Incident) -> None:
    earlier = Incident.objects.get(pk=incident.pk)
    earlier.pk, earlier.status, earlier.title = None, "resolved", "earlier"
    earlier.started_at = earlier.detected_at = earlier.resolved_at = NOW.replace(day=20)
    earlier.save()
    text = page(alice, incident)
    assert f"INC-{earlier.pk}" in text
    assert "same group" in text
