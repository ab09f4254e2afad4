"""How long things took: by step and cohort, and by the request that was slow, with ids taken out of its path."""

import json

import numpy as np
import pytest

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import events, latency
from funnelwatch.store.queries.span import Span

MINUTE = 1_793_203_200 // 60
#: Milliseconds of payment calls on phones and on computers.
PHONES, COMPUTERS = np.linspace(100, 900, 40), np.linspace(1_000, 3_000, 20)


@pytest.fixture
def span(store: Client, project_id: int) -> Span:
    made = []
    for number, (device, wait) in enumerate([("mobile", w) for w in PHONES] + [("desktop", w) for w in COMPUTERS]):
        for at, name in enumerate(("view_item", "http_error", "purchase", "web_vital")):
            ts = (MINUTE + number) * 60_000 + at * 1_000
            properties = {"http_error": {"url": f"https://api.shop.example/v1/orders/{number + 1000}/pay"}, "web_vital": {"metric": "INP"}}.get(name, {})
            made.append(Event(
                project_id=project_id, message_id=f"{number}-{at}", name=name, ts=ts, received_at=ts, visitor_id=f"v{number}", session_id="s",
                device=device, properties=json.dumps(properties), duration_ms=None if name == "view_item" else 50.0 if name == "web_vital" else float(wait),
            ))  # fmt: skip
    events.insert(store, made, f"latency-{project_id}")
    funnel = FunnelDef(1, project_id, "storefront", 1, parse_steps("view_item>purchase"))
    for _ in range(2):  # rolled up again it says the same
        roll_up(store, funnel, "", MINUTE, MINUTE + 60)
    return Span(funnel, MINUTE, MINUTE + 60, MINUTE + 600)


def within(value: float) -> object:
    """As near as the sketches promise, and a rank beside."""
    return pytest.approx(value, rel=latency.ACCURACY + 0.04)


def test_latency_by_step_is_that_of_the_cohort(store: Client, span: Span) -> None:
    found = {(row["step"], row["event"]): row for row in latency.by_step(store, span, Cohort.of({"device": "mobile"}))}
    assert set(found) == {("view_item", "http_error"), ("purchase", "purchase"), ("purchase", "web_vital")}
    assert found["purchase", "purchase"]["p50_ms"] == within(float(np.quantile(PHONES, 0.5)))
    assert found["purchase", "purchase"]["p95_ms"] == within(float(np.quantile(PHONES, 0.95)))
    everyone = {row["event"]: row for row in latency.by_step(store, span)}
    assert everyone["purchase"]["p95_ms"] == within(float(np.quantile(np.concatenate([PHONES, COMPUTERS]), 0.95)))


def test_latency_of_either_of_two_devices_is_that_of_both_together(store: Client, span: Span) -> None:
    either = Cohort.of([("device", "mobile"), ("device", "desktop")])
    assert latency.by_step(store, span, either) == latency.by_step(store, span)


def test_requests_are_told_apart_by_their_path_without_its_ids(store: Client, span: Span) -> None:
    slowest, vital = latency.by_endpoint(store, span)
    assert {name: slowest[name] for name in ("endpoint", "step", "event", "events")} == {
        "endpoint": "/v1/orders/*/pay", "step": "view_item", "event": "http_error", "events": 60,
    }  # fmt: skip
    assert slowest["p50_ms"] == within(float(np.quantile(np.concatenate([PHONES, COMPUTERS]), 0.5)))
    assert (vital["endpoint"], vital["step"], vital["events"], vital["p50_ms"]) == ("INP", "purchase", 60, within(50.0))


def test_a_cohort_that_is_not_rolled_up_together_is_refused(store: Client, span: Span) -> None:
    with pytest.raises(ValueError, match="not rolled up together"):
        latency.by_step(store, span, Cohort.of({"device": "mobile", "currency": "EUR"}))
