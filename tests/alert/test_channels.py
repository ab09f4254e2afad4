"""PagerDuty, webhook and e-mail."""

import socket
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from funnelwatch.alert import channel, webhook
from funnelwatch.alert.channel import DeliveryError
from funnelwatch.core import clock, signatures
from funnelwatch.incidents.models import Incident

SECRET = "whsec_c2hob3Agc2VjcmV0"

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)  # when the incident of conftest.py was found


def test_pagerduty_is_triggered_with_the_money_the_cause_and_links(pagerduty, deliver, incident):
    delivery = deliver("pagerduty")
    (event,) = pagerduty.posted("/v2/enqueue")
    assert (event["event_action"], event["routing_key"]) == ("trigger", "R" * 32)
    assert event["dedup_key"] == delivery.external_ref == f"funnelwatch-incident-{incident.pk}"
    assert event["payload"]["severity"] == "critical"
    assert "₹3.4\u00a0lakh at risk per hour. Likely cause: CDN config 4f2c" in event["payload"]["summary"]
    assert event["links"][1]["href"].endswith("#playbook")


def test_pagerduty_hears_of_acknowledgement_and_end_under_the_same_key_and_of_nothing_in_between(pagerduty, deliver):
    for minutes, event in enumerate(("opened", "updated", "acknowledged", "resolved")):
        deliver("pagerduty", event, NOW + timedelta(minutes=minutes))
    events = pagerduty.posted("/v2/enqueue")
    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1


@pytest.mark.parametrize(
    ("severity", "word"), [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info")]
)
def test_severities_map_to_pagerdutys(pagerduty, deliver, incident, severity, word):
    Incident.objects.update(severity=severity)
    deliver("pagerduty")
    assert pagerduty.posted("/v2/enqueue")[0]["payload"]["severity"] == word


@pytest.mark.parametrize(
    ("answer", "wait"),
    [((429, {"Retry-After": "30"}, b""), 30), ((500, {}, b""), 5), ("reset", 5), ((502, {}, b"<html>"), 5)],
)
def test_a_passing_fault_of_pagerduty_is_repeated_under_the_same_key(pagerduty, deliver, answer, wait):
    pagerduty.script = [answer]
    delivery = deliver("pagerduty")
    assert delivery.next_try_at == NOW + timedelta(seconds=wait)
    deliver("pagerduty", "updated", NOW + timedelta(seconds=wait))
    keys = [event["dedup_key"] for event in pagerduty.posted("/v2/enqueue")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_key_that_pagerduty_refuses_switches_the_channel_off(pagerduty, deliver):
    pagerduty.script = [(400, {}, b'{"status": "invalid event", "errors": ["routing_key"]}')]
    delivery = deliver("pagerduty")
    delivery.channel.refresh_from_db()
    assert "400" in delivery.channel.disabled_reason


@pytest.fixture
def hook(stand_in, monkeypatch):
    monkeypatch.setattr(webhook, "_is_public", lambda address: True)
    return {"url": f"{stand_in.url}/hook?x=1", "secret": SECRET}


def test_a_webhook_carries_the_contracts_incident_under_a_signature_that_verifies(stand_in, deliver, hook, incident):
    delivery = deliver("webhook", config=hook)
    (request,) = stand_in.requests
    assert request.path == "/hook?x=1"
    assert request.json["type"] == "incident.opened"
    assert request.json["data"]["id"] == incident.pk
    assert request.json["data"]["causes"][0]["title"] == "CDN config 4f2c"
    headers = request.headers
    assert headers["host"] == stand_in.url.removeprefix("http://")
    with clock.at(NOW):
        signatures.verify_standard_webhook(
            SECRET, headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], request.body
        )
    assert headers["webhook-id"] == delivery.external_ref


def test_a_repeated_webhook_keeps_its_id(stand_in, deliver, hook):
    stand_in.script = [(500, {}, b""), "reset"]
    deliver("webhook", config=hook)
    deliver("webhook", "updated", NOW + timedelta(seconds=6))
    deliver("webhook", "resolved", NOW + timedelta(seconds=60))
    ids = [request.headers["webhook-id"] for request in stand_in.requests]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("answer", "disabled"),
    [
        ((410, {}, b""), True),
        ((302, {"Location": "http://127.0.0.1/"}, b""), True),
        ((404, {}, b""), False),
        ((204, {}, b""), False),
    ],
)
def test_gone_and_redirects_switch_a_webhook_off(stand_in, deliver, hook, answer, disabled):
    stand_in.script = [answer]
    delivery = deliver("webhook", config=hook)
    delivery.channel.refresh_from_db()
    assert bool(delivery.channel.disabled_reason) is disabled
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "192.168.0.1", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]",
     "[64:ff9b::a00:1]", "[2002:a00:1::]", "0.0.0.0", "100.64.0.1", "224.0.0.1", "2130706433", "0x7f.1"],
)  # fmt: skip
def test_a_webhook_never_goes_to_a_private_address(stand_in, host):
    port = stand_in.url.rpartition(":")[2]
    with pytest.raises(DeliveryError) as raised:
        webhook._post(f"http://{host}:{port}/", b"{}", {})
    assert raised.value.permanent
    assert not stand_in.requests


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: rows)
    with pytest.raises(DeliveryError, match=r"10\.0\.0\.1"):
        webhook.public_address("example.com", 443)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "http:///x", "http://u:p@example.com/", "http://example.com:99999/", "nonsense"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(DeliveryError, match="must be like"):
        webhook._post(url, b"", {})


def test_mail_of_one_incident_is_one_thread(deliver, incident):
    first = deliver("email")
    deliver("email", "acknowledged", NOW + timedelta(minutes=1))
    deliver("email", "resolved", NOW + timedelta(minutes=2))
    opened, resolved = mail.outbox
    assert opened.subject == "[critical] Payment conversion fell 18 % for iOS Safari · ig_sale"
    assert "Very likely cause (86 %): CDN config 4f2c, started 14:25 by Karan S." in opened.body
    assert opened.to == ["oncall@example.com"]
    assert opened.extra_headers["Message-ID"] == first.external_ref == resolved.extra_headers["In-Reply-To"]


@pytest.mark.parametrize(
    ("kind", "config", "says"), [("fax", {}, "choose one of"), ("slack", {"token": "x"}, "needs channel")]
)
def test_a_channel_that_cannot_work_is_refused_with_what_is_missing(kind, config, says):
    with pytest.raises(ValueError, match=says):
        channel.check_config(kind, config)


def test_every_channel_kind_loads_and_can_send():
    for kind in channel.CHANNELS:
        assert callable(channel.load(kind).send)
        assert "opened" in channel.load(kind).EVENTS
