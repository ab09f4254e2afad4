"""What would go is said before it goes: by a replay made again, by retention."""

import contextlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.incidents.models import Delivery, Feedback, Incident
from funnelwatch.projects.models import Channel, Funnel, Organisation, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events

START = datetime(2026, 10, 1, tzinfo=UTC)
MINUTE = int(START.timestamp()) // 60
DAY_MS = 86_400_000


@pytest.fixture
def shop(db: None, project_id: int) -> Project:
    """Twenty visits in twenty minutes, a purchase each, three weeks later one more; its replay rolled up thirty minutes and found two incidents."""
    made = Project.objects.create(pk=project_id, organisation=Organisation.objects.create(name="x"), name=f"shop{project_id}")
    funnel = Funnel.objects.create(project=made, steps=[{"name": name, "events": [name], "filters": []} for name in ("view_item", "purchase")])
    client = pipeline.runtime().client
    events.insert(client, [e for at in (*range(20), 30_240) for e in visit(made, at)], f"dry-{project_id}")
    roll_up(client, funnel.definition(), "replay", MINUTE, MINUTE + 30)
    channel = Channel.objects.create(project=made, kind="email", name="mail", config={})
    for number in range(2):
        incident = Incident.objects.create(
            project=made, run_id="replay", severity="high", kind="rate", metric="conversion", funnel="storefront", step="view_item->purchase", title=f"{number}",
            cohort=[], started_at=START, started_lo=START, started_hi=START, detected_at=START, last_seen_at=START, expected=0.5, observed=0.1,
            interval_lo=0.0, interval_hi=0.2, effect=-0.8, probability=0.99,
        )  # fmt: skip
        Delivery.objects.create(incident=incident, channel=channel, event="opened", dedup_key=f"{project_id}-{number}")
    for name in ("ann", "ben"):
        Feedback.objects.create(incident=incident, verdict="real", user=get_user_model().objects.create_user(name))
    return made


def visit(shop: Project, at: int) -> list[Event]:
    ts = (MINUTE + at) * 60_000
    return [
        Event(project_id=shop.pk, message_id=f"{at}-{name}", name=name, ts=ts + n, received_at=ts + n, visitor_id=f"v{at}", session_id=f"s{at}")
        for n, name in enumerate(("view_item", "purchase"))
    ]


def replaced(shop: Project, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    call_command("replay", project=shop.name, dry_run=True, json=True)
    return json.loads(capsys.readouterr().out)


def test_a_replays_dry_run_says_what_of_the_one_before_would_go_and_removes_nothing(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    told = replaced(shop, capsys)
    assert told["from"] == "2026-10-15T00:00:00+00:00"
    gone = told["replaced"]
    assert (gone["incidents"], gone["judged"], gone["deliveries"]) == (2, 1, 2)
    assert (gone["rollup_minutes"], gone["journey"], gone["detector_states"]) == (30, 60, 0)
    assert Incident.objects.filter(run_id="replay").count() == 2
    assert replaced(shop, capsys) == told


def test_a_replays_dry_run_says_in_words_what_would_go(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("replay", project=shop.name, dry_run=True)
    assert "and remove of the replay before: 2 incidents, 1 judged, 2 deliveries, 30 rollup_minutes" in capsys.readouterr().err


def test_doctor_says_what_will_go_by_retention_within_a_week(project_id: int, db: None, capsys: pytest.CaptureFixture[str]) -> None:
    def expiring() -> str:
        with contextlib.suppress(SystemExit):
            call_command("doctor", json=True)
        return {check["name"]: check["detail"] for check in json.loads(capsys.readouterr().out)["checks"]}["retention"]

    now = int(time.time() * 1000)
    for days_ago, tier in ((38, 42), (10, 42), (38, 77)):  # four days to live, thirty-two, thirty-nine
        pipeline.runtime().client.insert("events", {
            "project_id": [project_id] * 3, "message_id": [f"{days_ago}-{tier}-{n}" for n in range(3)], "name": ["view_item"] * 3,
            "ts": [now - days_ago * DAY_MS] * 3, "channel": ["server"] * 3, "retention_days": [tier] * 3,
        })  # fmt: skip
    assert expiring() == "3 events in 1 partition will go by age within 7 days"
