"""A shop with an incident whose every number is known, and three people: Alice runs it, Bob may look, Charlie is a stranger."""

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.funnel import default_steps
from funnelwatch.incidents.models import Cause, Incident, PlaybookStep, TimelineEntry
from funnelwatch.projects.models import ChangeRow, Funnel, Member, Organisation, Project, WriteKey, steps_to_json
from funnelwatch.store.queries import states
from funnelwatch.web.payloads import OVERVIEW

#: 14:44 in the shop (Asia/Kolkata); the fault began at 14:32.
NOW = datetime(2026, 11, 21, 9, 14, tzinfo=UTC)
ONSET = NOW - timedelta(minutes=12)
COHORT = [{"dimension": "os", "value": "iOS"}, {"dimension": "browser", "value": "Safari"}, {"dimension": "campaign", "value": "ig_sale"}]


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    with clock.at(NOW):
        yield


@pytest.fixture(scope="session", autouse=True)
def event_store(data_directory: str) -> Iterator[None]:
    """Pages open the process's own store; it is closed before the directory goes."""
    yield
    pipeline.stop()


@pytest.fixture
def shop(db: None, project_id: int) -> Project:
    organisation = Organisation.objects.create(name="Loomlane Ltd")
    # A number no other test uses: rows in the event store outlive the test's transaction.
    project = Project.objects.create(pk=project_id, organisation=organisation, name="loomlane", title="Loomlane", timezone="Asia/Kolkata", currency="INR")
    Funnel.objects.create(project=project, steps=steps_to_json(default_steps()))
    WriteKey.objects.create(project=project, key="wk_known")
    return project


def _person(name: str, project: Project | None = None, role: str = "") -> Client:
    user = get_user_model().objects.create_user(name, password="correct horse battery")
    if project:
        Member.objects.create(user=user, project=project, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice(shop: Project) -> Client:
    return _person("alice", shop, "admin")


@pytest.fixture
def bob(shop: Project) -> Client:
    return _person("bob", shop, "viewer")


@pytest.fixture
def charlie(db: None) -> Client:
    return _person("charlie")


def band(values: list[float | None], low: float, expected: float, high: float) -> dict[str, Any]:
    size = len(values)
    return {"y": values, "expected": [expected] * size, "lo": [low] * size, "hi": [high] * size}


def chart() -> dict[str, Any]:
    """The last hour: 62 % until the onset, then 51 %."""
    x = [int(NOW.timestamp()) - 60 * (59 - i) for i in range(60)]
    cohort = {"name": "iOS Safari · ig_sale", **band([0.62] * 47 + [None] + [0.509] * 12, 0.574, 0.621, 0.668)}
    store = {"name": "Whole store", **band([0.634] * 48 + [0.603] * 12, 0.6, 0.634, 0.668)}
    return {
        "at": x[-1], "rolling_minutes": 5, "worse": "down", "x": x, "sessions": 516, "share": 0.25,
        "series": {"cohort": cohort, "others": {**store, "name": "Everyone else"}, "store": store},
        "loss": {"unit": "money", "x": x[-12:], "lost": [5_600.0 * i for i in range(12)]},
    }  # fmt: skip


@pytest.fixture
def incident(shop: Project) -> Incident:
    row = Incident.objects.create(
        project=shop, severity="critical", kind="rate", metric="conversion", funnel="storefront", step="add_shipping_info->add_payment_info",
        title="Shipping conversion fell 18 % for iOS Safari · ig_sale", cohort=COHORT, started_at=ONSET, started_lo=ONSET - timedelta(minutes=2),
        started_hi=ONSET + timedelta(minutes=2), detected_at=ONSET + timedelta(minutes=4), last_seen_at=NOW, expected=0.621, observed=0.509,
        interval_lo=0.492, interval_hi=0.526, effect=-0.18, probability=0.998, chart=chart(),
        impact={"currency": "INR", "lost_orders": 53.2, "lost_revenue": 68_000.0, "interval": [52_000.0, 81_000.0], "per_hour": 341_000.0, "recovered_revenue": None},
        narrowing=[{"cohort": [], "rate": 0.603, "expected": 0.634, "explained": 1.0, "sessions": 2060}, {"cohort": COHORT, "rate": 0.509, "expected": 0.621, "explained": 0.91, "sessions": 516}],
        detectors=[
            {"name": "rate_cusum", "version": 3, "score": 0.99, "p_value": 1e-9, "first_fired_at": "2026-11-21T09:06:00Z"},
            {"name": "prophet", "version": 1, "score": 0.41, "p_value": 0.2, "first_fired_at": None},
        ],
    )  # fmt: skip
    cdn = ChangeRow.objects.create(project=shop, kind="cdn", title="CDN config v482", started_at=ONSET - timedelta(minutes=7), source="edge", external_id="a41c9e2", author="Karan S.")
    evidence = [
        {"kind": "time", "text": "Began 7 min before the drop", "weight": 1.4, "data": {}},
        {"kind": "history", "text": "6 % of the lost are on Android", "weight": -0.4, "data": {}},
        {"kind": "shap", "text": "", "weight": 0.0, "data": {"contributions": [{"feature": "os_version", "points": -0.029, "before": 0, "since": 1}]}},
    ]
    Cause.objects.create(incident=row, rank=1, kind="cdn", change=cdn, title=cdn.title, probability=0.86, evidence=evidence)
    Cause.objects.create(incident=row, rank=2, kind="unknown", title="Something else", probability=0.04)
    Cause.objects.create(incident=row, rank=3, kind="deploy", title="web 5.18.2", probability=0.01, rejected="51 minutes too early")
    TimelineEntry.objects.create(incident=row, at=row.detected_at, kind="detected", text="1 of 2 detectors, 99.8 %")
    PlaybookStep.objects.create(incident=row, position=1, playbook="config or CDN regression", title="Put the previous config back")
    return row


@pytest.fixture
def save_overview(shop: Project) -> Callable[[dict[str, Any]], None]:
    """Store what a tick would store."""

    def save(overview: dict[str, Any]) -> None:
        states.save(pipeline.runtime().client, shop.pk, "", *OVERVIEW, clock.now_ms(), json.dumps(overview).encode())

    return save


@pytest.fixture
def overview() -> dict[str, Any]:
    """One step in range, one below it, one not collected."""
    empty = {"y": [], "expected": [], "lo": [], "hi": []}
    worst = {"cohort": COHORT, "rate": 0.509, "expected": 0.621, "effect": -0.18, "state": "bad"}

    def step(start: str, end: str, rate: float | None, low: float, expected: float, high: float, **more: Any) -> dict[str, Any]:
        known = rate is not None
        return {
            "step_from": start, "step_to": end, "collected": known, "per_hour": 10_300.0 if known else None, "rate": rate, "expected": expected if known else None,
            "lo": low if known else None, "hi": high if known else None, "spark": band([rate] * 9, low, expected, high) if known else empty, "worst": None,
        } | more  # fmt: skip

    at = int(NOW.timestamp())
    return {
        "at": at, "rolling_minutes": 5, "newest_event_at": at - 4, "watched_cohorts": 1240, "rejected": 0.0002,
        "revenue": {"value": 7_840_000.0, "expected": 7_980_000.0},
        "steps": [
            step("view_item", "add_to_cart", 0.111, 0.108, 0.114, 0.12),
            step("add_to_cart", "begin_checkout", None, 0, 0, 0),
            step("begin_checkout", "add_shipping_info", 0.58, 0.6, 0.634, 0.668, worst=worst),
        ],
        "cohorts": [{"cohort": COHORT, "sigmas": [None, 0.3, -6.1]}],
        "events": {"x": [at - 60, at], "band": band([1200.0, 1284.0], 1100.0, 1200.0, 1300.0), "now": 1284.2, "channels": {"browser": 1284.2}, "late": 0.004},
        "detectors": [{"name": "rate_cusum", "version": 3, "series": 40, "ran_at": at}],
    }  # fmt: skip


def text_of(response: Any) -> str:
    """The page's words without tags, white space folded."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"[\s\u00a0\u202f]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))
