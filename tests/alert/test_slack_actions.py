"""Presses on Slack's buttons, as Slack sends them: over HTTP, signed."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client

from funnelwatch.alert.deliver import deliver_due
from funnelwatch.core import clock, signatures
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import Channel, Organisation, Project

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)  # when the incident of conftest.py was found


def post(body, headers, pk, at):
    """The status; a browser's protection against forged forms is switched on, as it is in production."""
    client = Client(enforce_csrf_checks=True)
    with clock.at(at):
        return client.post(
            f"/slack/{pk}/actions", body, content_type="application/x-www-form-urlencoded", headers=headers
        ).status_code


@pytest.fixture
def press(incident):
    channel = Channel.objects.create(
        project=incident.project,
        kind="slack",
        name="ops",
        config={"token": "t", "channel": "C1", "signing_secret": "shh"},
    )

    def _press(action, secret="shh", at=NOW, signed_at=NOW, pk=channel.pk, payload=None):
        content = payload or {"type": "block_actions", "user": {"id": "U1", "name": "alice"}, "actions": [action]}
        body = urlencode({"payload": json.dumps(content)}).encode()
        seconds = str(int(signed_at.timestamp()))
        signature = "v0=" + signatures.hex_digest(secret, f"v0:{seconds}:".encode() + body)
        headers = {"X-Slack-Request-Timestamp": seconds, "X-Slack-Signature": signature}
        status = post(body, headers, pk, at)
        incident.refresh_from_db()
        return status

    return _press


def test_acknowledge_takes_the_incident_in_hand_and_says_who(press, incident):
    assert press({"action_id": "ack", "value": str(incident.pk)}) == 200
    assert incident.status == "acknowledged"
    assert incident.timeline.get(kind="acknowledged").actor == "alice (Slack)"
    assert press({"action_id": "ack", "value": str(incident.pk)}) == 200
    assert incident.timeline.filter(kind="acknowledged").count() == 1


@pytest.mark.parametrize(
    "action",
    [
        {"action_id": "more", "selected_option": {"value": "{}:false_alarm"}},
        {"action_id": "false_alarm", "value": "{}"},
    ],
)
def test_a_verdict_is_kept_once_however_often_slack_repeats_it(press, incident, action):
    action = json.loads(json.dumps(action).replace("{}", str(incident.pk)))
    assert press(action) == press(action) == 200
    assert incident.status == "false_alarm"
    assert incident.feedback.count() == 1


def test_the_thread_says_who_acknowledged(slack, deliver, press, incident):
    deliver("slack", config={"token": "t", "channel": "C1"})
    press({"action_id": "ack", "value": str(incident.pk)})
    with clock.at(NOW):
        deliver_due()
    assert slack.posted("chat.postMessage")[1]["text"] == "*Acknowledged* by alice (Slack)."
    assert '"ack"' not in json.dumps(slack.posted("chat.update")[0]), "its button is gone"


def test_an_incident_of_another_project_is_left_alone(press, incident):
    other = Project.objects.create(organisation=Organisation.objects.create(name="o"), name="other")
    Incident.objects.update(project=other)
    assert press({"action_id": "ack", "value": str(incident.pk)}) == 200
    assert incident.status == "open"


def test_a_wrong_or_old_signature_an_unknown_channel_and_nonsense_are_refused(press, incident):
    ack = {"action_id": "ack", "value": str(incident.pk)}
    assert press(ack, secret="wrong") == 401
    assert press(ack, at=NOW + timedelta(minutes=6)) == 401
    assert press(ack, pk=10_000) == 404
    assert press({"action_id": "ack", "value": "seven"}) == 400
    assert press(ack, payload={"type": "block_actions"}) == 400
    assert press(ack, payload={"type": "shortcut"}) == 200
    assert incident.status == "open"


def test_the_example_of_slacks_own_documentation_is_known_as_signed(incident):
    """It is a command and no press, so 400 is what comes after the signature."""
    channel = Channel.objects.create(
        project=incident.project, kind="slack", name="ops",
        config={"token": "t", "channel": "C1", "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5"},
    )  # fmt: skip
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": signature}
    at = datetime.fromtimestamp(1531420618, UTC)
    assert post(body, headers, channel.pk, at) == 400
    assert post(body.replace(b"roadrunner", b"coyote"), headers, channel.pk, at) == 401
    assert post(body, headers | {"X-Slack-Request-Timestamp": "1531420619"}, channel.pk, at) == 401
    assert post(body, {}, channel.pk, at) == 401
