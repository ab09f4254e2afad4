"""The whole story from outside: a shop with fourteen days of history, then an evening sent over HTTP at a clock the test drives."""

import fcntl
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec

from funnelwatch.core import clock
from funnelwatch.simulate import SCENARIOS, Simulation
from funnelwatch.simulate.shop import Shop
from tests.platform import processes
from tests.platform.processes import wait_until

#: 20:30 in the shop. It sells in the evening, when its new pieces appear; relative rates by local hour.
HISTORY_UNTIL = datetime(2026, 10, 17, 15, 0, tzinfo=UTC)
HOURS = (0.2,) + (0.05,) * 16 + (0.5, 1.5, 3.5, 5.0, 5.0, 3.0, 1.0)
#: With these sessions a day the cohort makes 10 or more payment attempts a minute then.
SESSIONS_PER_DAY = 8_500
#: The campaign's share of the shop's sessions: the others have to be enough to tell the cohort from everyone.
CAMPAIGN_SHARE = 0.5
DAYS = 14
ONSET = HISTORY_UNTIL + timedelta(minutes=6)
COHORT = {"os": "iOS", "browser": "Safari", "campaign": "ig_sale"}


def simulation(faulty: bool) -> Simulation:
    """The case study's shop with its fault six minutes into the evening, or its quiet twin: the same but for the fault.

    The ledger moves with the fault: the CDN change a minute before it, decoys on both sides.
    """
    spec = SCENARIOS["case-study"]
    shift = int((ONSET - HISTORY_UNTIL).total_seconds() // 60) - spec.faults[0].start
    changes = tuple(
        replace(entry, minute=entry.minute + shift) if entry.minute > 0 else entry for entry in spec.changes
    )
    faults = tuple(replace(fault, start=fault.start + shift) for fault in spec.faults) if faulty else ()
    return Simulation(
        replace(spec, shop=_evening_shop(spec.shop), changes=changes, faults=faults), days=DAYS, sessions_per_day=SESSIONS_PER_DAY,
        start=HISTORY_UNTIL - timedelta(days=DAYS),
    )  # fmt: skip


def _evening_shop(shop: Shop) -> Shop:
    rest = sum(channel.share for channel in shop.channels if channel.campaign != COHORT["campaign"])
    scale = (1 - CAMPAIGN_SHARE) / rest
    shares = [CAMPAIGN_SHARE if channel.campaign == COHORT["campaign"] else channel.share * scale for channel in shop.channels]
    channels = tuple(replace(channel, share=share, hours=HOURS) for channel, share in zip(shop.channels, shares, strict=True))
    return replace(shop, channels=channels)


def write_history(path: Path) -> int:
    """The fourteen days as an import file of Segment lines; returns the number of events."""
    run = simulation(faulty=False)
    encode = msgspec.json.Encoder().encode_lines
    count = 0
    with path.open("wb") as file:
        for block in run.blocks(run.start, run.history_until):
            file.write(encode([letter[3] for letter in block]))
            count += len(block)
    return count


def shared_history(folder: Path) -> tuple[Path, dict[str, Any]]:
    """`make_history`, made by whichever process of the test run comes first; never opened, only copied."""
    made = folder / "made.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _, shop = make_history(folder)
            made.write_text(json.dumps(shop))
    return folder / "data", json.loads(made.read_text())


def make_history(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A data directory in `folder` with the shop's fourteen days imported and the ledger known, and what `init` printed."""
    data, events, clock_file = folder / "data", folder / "events.jsonl", folder / "clock"
    assert 500_000 < write_history(events) <= 3_000_000
    set_clock(clock_file, HISTORY_UNTIL)
    driven = {"FUNNELWATCH_CLOCK_FILE": str(clock_file), "OPENBLAS_NUM_THREADS": "1"}
    shop = processes.result("init", "--project", "shop", "--timezone", "Asia/Kolkata", "--currency", "INR", data=data, **driven)
    report = processes.result("import", events, "--project", "shop", "--format", "segment", data=data, **driven)
    events.unlink()
    assert report["rejected"] == {}
    processes.result("changes", "import", write_changes(folder), "--project", "shop", data=data, **driven)
    processes.python("from funnelwatch import pipeline\npipeline.start()\npipeline.tick(1)\npipeline.stop()\n", data, **driven)
    add_channels(lambda code: processes.python(code, data))
    return data, shop


def write_changes(folder: Path) -> Path:
    """The shop's change ledger as a file for `changes import`."""
    path = folder / "changes.jsonl"
    path.write_text("".join(json.dumps(change) + "\n" for change in simulation(faulty=False).changes()))
    return path


def copy(data: Path, to: Path) -> None:
    """A data directory that no process has open, for a story of its own."""
    shutil.copytree(data, to, symlinks=True, ignore=shutil.ignore_patterns("*.lock", "*.sock", "up.json"))


@dataclass
class Capture:
    """What the stand-in for Slack's and PagerDuty's hosts was sent."""

    url: str
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def slack(self) -> list[dict[str, Any]]:
        """New messages to the channel: neither edits nor replies in a thread."""
        return [body for path, body in self.requests if path == "/slack/chat.postMessage" and "thread_ts" not in body]

    def pagerduty(self, action: str) -> list[dict[str, Any]]:
        """PagerDuty events of one action."""
        return [body for path, body in self.requests if path == "/pagerduty/v2/enqueue" and body["event_action"] == action]


@contextmanager
def captured() -> Iterator[Capture]:
    """A local server in place of Slack and PagerDuty."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            form = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
            body = dict(httpx.QueryParams(raw.decode())) if form else json.loads(raw or b"{}")
            capture.requests.append((self.path, body))
            slack = self.path.startswith("/slack/")
            answer = {"ok": True, "ts": "1760711525.000100", "channel": "C0CHECKOUT"} if slack else {"status": "success", "dedup_key": body.get("dedup_key")}
            text = json.dumps(answer).encode()
            self.send_response(200 if slack else 202)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            """Nothing: pytest shows what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    capture = Capture(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield capture
    finally:
        server.shutdown()
        server.server_close()


def environment(clock_file: Path, capture: Capture) -> dict[str, str]:
    """What the server under test is told: the driven clock, ticks every second of real time, alerts to the stand-in."""
    return {
        "FUNNELWATCH_CLOCK_FILE": str(clock_file),
        "FUNNELWATCH_TICK_SECONDS": "1",
        "FUNNELWATCH_SLACK_URL": f"{capture.url}/slack/",
        "FUNNELWATCH_PAGERDUTY_URL": f"{capture.url}/pagerduty",
        "OPENBLAS_NUM_THREADS": "1",
    }


def set_clock(clock_file: Path, moment: datetime) -> None:
    """Put every process that shares the file at `moment`; in one step, so that none reads half a time."""
    beside = clock_file.with_suffix(".new")
    beside.write_text(moment.isoformat())
    beside.replace(clock_file)


@dataclass
class Evening:
    """Sends a simulated evening to a server, minute by minute."""

    url: str
    write_key: str
    token: str
    clock_file: Path
    explain: Callable[[], str]

    def send(self, faulty: bool, minutes: int) -> None:
        """Post what the shop's clients send in `minutes` minutes, each slice of ten seconds at its own time of receipt."""
        run = simulation(faulty)
        arrivals = run.arrivals(run.history_until, run.history_until + timedelta(minutes=minutes))
        waiting: list[dict[str, Any]] = []
        until = run.history_until + timedelta(seconds=10)
        with httpx.Client(base_url=self.url, timeout=30) as client:
            for received, message in arrivals:
                while received >= until:
                    self._slice(client, waiting, until)
                    waiting, until = [], until + timedelta(seconds=10)
                waiting.append({name: value for name, value in message.items() if name != "receivedAt"})
            self._slice(client, waiting, until)

    def _slice(self, client: httpx.Client, messages: list[dict[str, Any]], until: datetime) -> None:
        set_clock(self.clock_file, until)
        for start in range(0, len(messages), 150):
            reply = client.post("/v1/batch", json={"batch": messages[start : start + 150]}, auth=(self.write_key, ""))
            assert reply.status_code == 200, reply.text
        if until.second == 0:
            self._wait_for_the_tick(client, until - timedelta(minutes=1))

    def _wait_for_the_tick(self, client: httpx.Client, until: datetime) -> None:
        """Until the minute before the one just closed has been judged: at most a minute behind, as in real time."""
        wanted = clock.to_ms(until)

        def judged() -> bool:
            health = self.get(client, "/api/v1/health/")
            ends = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in health["judged_until"].values() if at]
            return bool(ends) and clock.to_ms(max(ends)) >= wanted

        wait_until(judged, 90, self.explain)

    def get(self, client: httpx.Client, path: str) -> dict[str, Any]:
        """An answer of the API."""
        reply = client.get(path, headers={"Authorization": f"Bearer {self.token}"})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident of the project, as the API tells them."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            return list(self.get(client, "/api/v1/incidents/")["results"])


def add_channels(run_python: Callable[[str], str]) -> None:
    """A Slack and a PagerDuty channel for every project."""
    run_python(
        "from funnelwatch.projects.models import Channel, Project\n"
        "for project in Project.objects.all():\n"
        "    Channel.objects.create(project=project, kind='slack', name='checkout', config={'token': 'xoxb-test', 'channel': 'C0CHECKOUT'})\n"
        "    Channel.objects.create(project=project, kind='pagerduty', name='on call', config={'routing_key': 'R' * 32})\n"
    )


def check_the_incident(incidents: list[dict[str, Any]], capture: Capture) -> dict[str, Any]:
    """One incident: right step, right cohort, right cause first, onset within five minutes; told once to each host."""
    told = [(row["title"], row["kind"], row["started_at"], row["cohort"]) for row in incidents]
    assert len(incidents) == 1, told
    incident = incidents[0]
    assert incident["step"] == "add_payment_info->purchase", told
    named = {entry["dimension"]: entry["value"] for entry in incident["cohort"]}
    assert named.items() <= COHORT.items(), told
    assert {"campaign"} < named.keys(), told  # the campaign and the platform, by system or by browser
    started = datetime.fromisoformat(incident["started_at"].replace("Z", "+00:00"))
    detected = datetime.fromisoformat(incident["detected_at"].replace("Z", "+00:00"))
    assert abs(started - ONSET) <= timedelta(minutes=5), told
    assert detected - ONSET <= timedelta(minutes=8), told
    assert incident["causes"][0]["external_id"] == "cdn-4f2c", incident["causes"]
    # the shop's own failed payments are the earlier sign, lost orders the later one; whichever leads by then
    assert incident["effect"] < -0.4 or (incident["kind"] == "error" and incident["effect"] > 2), told
    assert incident["impact"]["lost_revenue"] > 0
    wait_until(lambda: capture.slack() and capture.pagerduty("trigger"), 30, lambda: str(capture.requests))
    assert len(capture.slack()) == 1, capture.slack()
    assert len({event["dedup_key"] for event in capture.pagerduty("trigger")}) == 1
    assert "CDN config 4f2c" in json.dumps(capture.requests)
    return incident
