"""`funnelwatch up` as one real process: what it answers, what it refuses, and that nothing acknowledged is lost."""

import base64
import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platform.processes import Up, result, run, stored_ids, up, wait_until


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory with a project, and its write key."""
    data = tmp_path_factory.mktemp("up") / "var"
    return data, result("init", "--project", "shop", data=data)["write_key"]


@pytest.fixture(scope="module")
def running(shop: tuple[Path, str]) -> Iterator[Up]:
    with up(shop[0]) as process:
        yield process


def headers(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def event(message_id: str) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "messageId": message_id, "anonymousId": "ann"}


def send(url: str, key: str, ids: list[str]) -> int:
    return httpx.post(f"{url}/v1/batch", json={"batch": [event(one) for one in ids]}, headers=headers(key)).status_code


@pytest.mark.parametrize(
    ("content", "key", "status"),
    [
        (b'{"event": "half', None, 400),
        (b'{"event": "x", "anonymousId": "a"}', "wk_wrong", 401),
        (b'{"event": "x", "anonymousId": "a", "properties": {"long": "' + b"x" * 40_000 + b'"}}', None, 413),
        (json.dumps({"batch": [event("big")] * 9_000}).encode(), None, 413),
    ],
    ids=["malformed", "wrong key", "oversized event", "oversized batch"],
)
def test_bad_input_gets_a_status_and_a_json_error_that_says_what_to_do(
    running: Up, shop: tuple[Path, str], content: bytes, key: str | None, status: int
) -> None:
    path = "batch" if b"batch" in content else "track"
    answer = httpx.post(f"{running.url}/v1/{path}", content=content, headers=headers(key or shop[1]))
    assert answer.status_code == status
    assert set(answer.json()) >= {"code", "message"}
    assert len(answer.json()["message"]) > 10


def test_a_flood_of_headers_is_cut_off(running: Up) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Flood: ")
        with contextlib.suppress(OSError):
            for _ in range(80):
                client.sendall(b"x" * 950)
                time.sleep(0.002)
        assert client.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_second_up_on_the_same_data_names_the_first_and_its_port(running: Up, shop: tuple[Path, str]) -> None:
    done = run("up", "--port", "0", data=shop[0])
    assert done.returncode == 1
    assert f"(process {running.process.pid}, port {running.port})" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_said_before_anything_is_opened(running: Up, tmp_path: Path) -> None:
    done = run("up", "--port", str(running.port), data=tmp_path / "other")
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot listen on 127.0.0.1:{running.port}: Address already in use; choose another with --port\n"


def test_commands_that_need_the_store_are_carried_out_by_the_running_up(running: Up, shop: tuple[Path, str], tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event(f"file-{number}")) + "\n" for number in range(500)) + "bad\n")
    done = run("import", file, "--project", "shop", "--format", "segment", "--json", data=shop[0])
    report = json.loads(done.stdout)
    assert [line[:15] for line in done.stderr.splitlines() if line.startswith("importing")] == ["importing: 100%"]
    assert (report["imported"], report["rejected"]) == (500, {"invalid_json": 1})
    assert run("import", file, "--project", "nope", "--format", "segment", data=shop[0]).stderr.startswith("Error: there is no project 'nope'")
    assert result("doctor", data=shop[0])["ok"]


def test_a_new_projects_key_works_within_seconds(running: Up, shop: tuple[Path, str]) -> None:
    key = result("init", "--project", "second", data=shop[0])["write_key"]
    wait_until(lambda: send(running.url, key, ["k1"]) == 200, 4)


@pytest.fixture(scope="module")
def funnel(running: Up, shop: tuple[Path, str]) -> Iterator[tuple[httpx.Client, str]]:
    """A client of the API for a project of two steps, and the project's write key, which is known already."""
    made = result("init", "--project", "two-steps", "--funnel", "view_item>purchase", data=shop[0])
    wait_until(lambda: send(running.url, made["write_key"], ["first"]) == 200, 4)
    with httpx.Client(base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {made['api_token']}"}) as client:
        yield client, made["write_key"]


def visits(moment: datetime, people: int) -> list[dict[str, Any]]:
    """That many people look, and every other one buys a second later."""
    return [
        {"type": "track", "event": name, "messageId": f"{moment:%F %T} {number} {name}", "anonymousId": f"{moment:%F %T} {number}",
         "timestamp": (moment + timedelta(seconds=second)).isoformat()}
        for number in range(people) for second, name in enumerate(("Product Viewed", "Order Completed")[: 1 + number % 2])
    ]  # fmt: skip


def report(client: httpx.Client, start: datetime, end: datetime) -> Any:
    pk = client.get("/funnels/").json()["results"][0]["id"]
    return client.get(f"/funnels/{pk}/report", params={"from": start.isoformat(), "to": end.isoformat()}).json()


def test_an_imported_history_of_years_ago_has_a_report(funnel: tuple[httpx.Client, str], shop: tuple[Path, str], tmp_path: Path) -> None:
    start = datetime(2020, 11, 20, 23, 30, tzinfo=UTC)
    file = tmp_path / "old.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for hour in range(3) for one in visits(start + timedelta(hours=hour), 20)))
    done = run("import", file, "--project", "two-steps", "--format", "segment", "--json", data=shop[0])
    assert json.loads(done.stdout)["imported"] == 90
    assert "counting: 100%, 3 minutes" in done.stderr
    found = report(funnel[0], start - timedelta(days=1), start + timedelta(days=1))
    assert (found["minutes_missing"], [step["entered"] for step in found["steps"]]) == (0, [60, 30])
    assert (found["steps"][0]["converted"], found["steps"][0]["complete"]) == (30, 1.0)


def test_a_report_shows_the_running_minute_within_thirty_seconds(running: Up, funnel: tuple[httpx.Client, str]) -> None:
    client, key = funnel
    wait_until(lambda: time.time() % 60 < 25, 60)  # so that the minute still runs when it is shown
    sent, minute = time.monotonic(), datetime.now(UTC).replace(second=0, microsecond=0)
    batch = visits(datetime.now(UTC), 10)
    assert httpx.post(f"{running.url}/v1/batch", json={"batch": batch}, headers=headers(key)).status_code == 200

    def bought() -> Any:
        steps = report(client, minute, datetime.now(UTC)).get("steps")
        return steps and (steps[0]["converted"], steps[1]["entered"])

    wait_until(lambda: bought() == (5, 5), 30, lambda: str(bought()))
    assert time.monotonic() - sent < 30
    assert datetime.now(UTC) < minute + timedelta(minutes=1)


def test_ingest_stays_responsive_while_jobs_run(running: Up, shop: tuple[Path, str], tmp_path: Path) -> None:
    """An import of 30,000 events keeps the interpreter busy; a request still gets its turn."""
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps(event(f"many-{number}")) + "\n" for number in range(30_000)))
    busy = threading.Thread(target=run, args=("import", file, "--project", "shop", "--format", "segment"), kwargs={"data": shop[0]})
    busy.start()
    waits = []
    with httpx.Client(base_url=running.url, headers=headers(shop[1])) as client:
        while busy.is_alive():
            start = time.monotonic()
            assert client.post("/v1/track", json=event(f"live-{len(waits)}")).status_code == 200
            waits.append(time.monotonic() - start)
            time.sleep(0.02)
    busy.join()
    assert len(waits) > 20
    assert sorted(waits)[len(waits) // 2] < 0.25


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_acknowledged_event_is_lost_however_it_stops(shop: tuple[Path, str], tmp_path: Path, number: int) -> None:
    data = tmp_path / "var"
    key = result("init", "--project", "shop", data=data)["write_key"]
    acknowledged: list[str] = []
    with up(data) as first:
        wait_until(lambda: send(first.url, key, ["warm"]) == 200, 5)
        sender = threading.Thread(target=_send_until_refused, args=(first.url, key, acknowledged))
        sender.start()
        wait_until(lambda: len(acknowledged) > 400, 30)
        assert first.stop(number) < 10
        sender.join()
    with up(data) as second:
        wait_until(lambda: "\nfunnelwatch_spool_waiting_events 0\n" in httpx.get(f"{second.url}/metrics").text, 30)
        assert second.stop() < 10
    ids = stored_ids(data)
    assert set(acknowledged) <= set(ids)
    assert len(ids) == len(set(ids))


def _send_until_refused(url: str, key: str, acknowledged: list[str]) -> None:
    with httpx.Client(base_url=url, headers=headers(key)) as client:
        for number in range(100_000):
            ids = [f"e{number}-{part}" for part in range(5)]
            try:
                if client.post("/v1/batch", json={"batch": [event(one) for one in ids]}).status_code != 200:
                    return
            except httpx.TransportError:
                return
            acknowledged.extend(ids)
