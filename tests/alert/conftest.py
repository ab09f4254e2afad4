"""A local server that stands in for Slack, PagerDuty and webhooks, and a shop with an incident."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from funnelwatch.core import clock
from funnelwatch.incidents.models import Cause, Delivery, Incident, PlaybookStep
from funnelwatch.projects.models import ChangeRow, Channel, Organisation, Project

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class StandIn:
    """What came in, and what to answer next: `(status, headers, body)`, "reset", or a function of the request."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)
    default: Callable[[Request], Any] = lambda request: (200, {}, b"ok")

    def posted(self, end: str) -> list[dict[str, Any]]:
        return [request.json for request in self.requests if request.path.endswith(end)]


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            answer = state.script.pop(0) if state.script else state.default
            answer = answer(request) if callable(answer) else answer
            state.requests.append(request)
            if answer == "reset":
                self.close_connection = True
                self.connection.close()
                return
            if answer == "slow":
                time.sleep(1.0)
                answer = (200, {}, b"late")
            status, headers, content = answer
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def slack(stand_in: StandIn, settings: Any) -> StandIn:
    """The stand-in as Slack: keeps messages, so that history and replies can be asked for."""
    settings.SLACK_URL = f"{stand_in.url}/api/"
    messages: list[dict[str, Any]] = []

    def answer(request: Request) -> Any:
        if request.path.endswith("chat.postMessage"):
            ts = f"17.{len(messages):06d}"
            messages.append({**request.json, "ts": ts})
            return 200, {}, json.dumps({"ok": True, "channel": "C1", "ts": ts}).encode()
        if "conversations." in request.path:
            return 200, {}, json.dumps({"ok": True, "messages": messages}).encode()
        return 200, {}, b'{"ok": true}'

    stand_in.default = answer
    return stand_in


@pytest.fixture
def pagerduty(stand_in: StandIn, settings: Any) -> StandIn:
    settings.PAGERDUTY_URL = stand_in.url
    stand_in.default = lambda request: (202, {}, b'{"status": "success"}')
    return stand_in


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funnelwatch.alert.deliver.REST_S", 0.0)


@pytest.fixture
def incident(db: None) -> Incident:
    organisation = Organisation.objects.create(name="Loomlane")
    project = Project.objects.create(
        organisation=organisation, name="shop", title="Loomlane", currency="INR", timezone="Asia/Kolkata"
    )
    change = ChangeRow.objects.create(
        project=project, kind="cdn", title="CDN config 4f2c", started_at=NOW - timedelta(minutes=11), source="cdn", external_id="4f2c",
        url="https://cdn.example/4f2c", author="Karan S.",
    )  # fmt: skip
    row = Incident.objects.create(
        project=project, severity="critical", kind="rate", title="Payment conversion fell 18 % for iOS Safari · ig_sale",
        funnel="storefront", step="add_payment_info->purchase", metric="conversion",
        cohort=[{"dimension": "os", "value": "iOS"}], started_at=NOW - timedelta(minutes=4), started_lo=NOW, started_hi=NOW,
        detected_at=NOW, last_seen_at=NOW, expected=0.621, observed=0.509, interval_lo=0.492, interval_hi=0.526, effect=-0.18,
        probability=0.998, impact={"currency": "INR", "lost_orders": 212.4, "lost_revenue": 180000.0, "per_hour": 340000.0},
        detectors=[{"name": "rate_cusum", "version": 3, "score": 0.99, "p_value": 1e-9, "first_fired_at": "2026-03-02T09:05:00Z"}],
    )  # fmt: skip
    evidence = [{"kind": "time", "text": "Began 7 min after it & not before", "weight": 1.2, "data": {}}]
    Cause.objects.create(
        incident=row, rank=1, kind="cdn", change=change, title=change.title, probability=0.86, evidence=evidence
    )
    PlaybookStep.objects.create(incident=row, position=1, playbook="cdn", title="Open the checkout on an iPhone")
    return row


@pytest.fixture
def deliver(incident: Incident) -> Callable[..., Delivery]:
    """Write a delivery for the incident at a channel of a kind and send what is due."""
    from funnelwatch.alert.deliver import deliver_due

    configs = {
        "slack": {"token": "xoxb-secret", "channel": "#ops"},
        "pagerduty": {"routing_key": "R" * 32},
        "email": {"to": ["oncall@example.com"]},
    }

    def _deliver(
        kind: str, event: str = "opened", at: datetime = NOW, config: dict[str, Any] | None = None
    ) -> Delivery:
        channel, _ = Channel.objects.get_or_create(
            project=incident.project, kind=kind, defaults={"name": "ops", "config": config or configs.get(kind, {})}
        )
        with clock.at(at):
            row = Delivery.objects.create(
                incident=incident,
                channel=channel,
                event=event,
                severity=incident.severity,
                dedup_key=f"{channel.pk}:{event}:{at}",
            )
            deliver_due()
        row.refresh_from_db()
        return row

    return _deliver
