"""Claiming, order, crashes."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from funnelwatch.alert import deliver as sending
from funnelwatch.core import clock
from funnelwatch.incidents.models import Delivery, Incident
from funnelwatch.projects.models import Channel

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)  # when the incident of conftest.py was found


def _row(incident, channel, event="opened", key=""):
    return Delivery.objects.create(
        incident=incident,
        channel=channel,
        event=event,
        severity="high",
        dedup_key=key or event,
        created_at=NOW,
        next_try_at=NOW,
    )


@pytest.fixture
def ops(incident):
    return Channel.objects.create(project=incident.project, kind="pagerduty", name="ops", config={"routing_key": "R"})


def test_a_sender_that_died_after_its_claim_is_repeated_once_its_lease_is_over(pagerduty, incident, ops):
    row = _row(incident, ops)
    with clock.at(NOW):
        assert sending._claim([]).pk == row.pk
        assert sending.deliver_due() == 0
    with clock.at(NOW + sending.LEASE + timedelta(seconds=1)):
        assert sending.deliver_due() == 1
    row.refresh_from_db()
    assert row.attempts == 2


SENDER = """
import sys, django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from funnelwatch.alert.deliver import deliver_due
deliver_due()
"""


@pytest.mark.django_db(transaction=True)
def test_a_sender_killed_between_claim_and_mark_loses_nothing(pagerduty, incident, ops, tmp_path):
    row = _row(incident, ops)
    pagerduty.default = lambda request: "slow"
    at = tmp_path / "clock"
    at.write_text(NOW.isoformat())
    environment = os.environ | {"FUNNELWATCH_PAGERDUTY_URL": pagerduty.url, "FUNNELWATCH_CLOCK_FILE": str(at)}
    child = subprocess.Popen([sys.executable, "-c", SENDER, connection.settings_dict["NAME"]], env=environment)
    while not Delivery.objects.get(pk=row.pk).attempts and child.poll() is None:
        time.sleep(0.02)
    child.kill()
    child.wait()
    row.refresh_from_db()
    assert row.sent_at is None
    pagerduty.default = lambda request: (202, {}, b"{}")
    with clock.at(NOW + sending.LEASE + timedelta(seconds=1)):
        assert sending.deliver_due() == 1
    assert len({event["dedup_key"] for event in pagerduty.posted("/v2/enqueue")}) == 1


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_each_row_once(pagerduty, incident, ops):
    channels = [
        ops,
        *(
            Channel.objects.create(
                project=incident.project, kind="pagerduty", name=f"n{n}", config={"routing_key": "R"}
            )
            for n in range(7)
        ),
    ]
    for n, channel in enumerate(channels):
        _row(incident, channel, key=f"k{n}")

    def send():
        with clock.at(NOW):
            sending.deliver_due()
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pagerduty.requests) == 8
    assert Delivery.objects.filter(sent_at=None).count() == 0


def test_a_channel_gets_one_message_a_second_and_the_others_do_not_wait_for_it(pagerduty, incident, ops, monkeypatch):
    monkeypatch.setattr(sending, "REST_S", 1.5)
    other = Channel.objects.create(
        project=incident.project, kind="pagerduty", name="other", config={"routing_key": "OTHER"}
    )
    again = Incident.objects.get()
    again.pk = None
    again.save()
    for n, (row, channel) in enumerate([(incident, ops), (again, ops), (again, other)]):
        _row(row, channel, key=str(n))
    arrivals = []
    pagerduty.default = lambda request: arrivals.append((request.json["routing_key"], time.monotonic())) or (202, {}, b"{}")
    with clock.at(NOW):
        assert sending.deliver_due() == 3
    assert [key for key, _ in arrivals] == ["R", "OTHER", "R"]
    assert arrivals[1][1] - arrivals[0][1] < 1.5 <= arrivals[2][1] - arrivals[0][1]


def test_a_failing_channel_holds_up_no_other(pagerduty, incident, ops):
    other = Channel.objects.create(
        project=incident.project, kind="pagerduty", name="other", config={"routing_key": "R"}
    )
    _row(incident, ops, key="a")
    _row(incident, other, key="b")
    pagerduty.script = [(500, {}, b"")]
    with clock.at(NOW):
        assert sending.deliver_due() == 1


def test_at_last_it_gives_up_and_says_so(pagerduty, incident, ops):
    pagerduty.default = lambda request: (500, {}, b"")
    row = _row(incident, ops)
    Delivery.objects.update(attempts=sending.MOST_ATTEMPTS - 1)
    with clock.at(NOW):
        sending.deliver_due()
    row.refresh_from_db()
    assert row.failed_at == NOW
    assert "given up after 100 attempts" in row.error


def test_a_fault_in_one_message_does_not_keep_the_others_from_going_out(pagerduty, incident, ops, caplog):
    broken = Channel.objects.create(project=incident.project, kind="pagerduty", name="broken", config={})
    row = _row(incident, broken, key="a")
    _row(incident, ops, key="b")
    with clock.at(NOW):
        assert sending.deliver_due() == 1
    row.refresh_from_db()
    assert "KeyError" in row.error
    assert "KeyError" in caplog.text
