"""Separate processes, PostgreSQL, Redis and ClickHouse over its native protocol."""

from collections.abc import Mapping
from pathlib import Path

import httpx

from funnelwatch.store.client import StoreError
from funnelwatch.store.server import NativeClient
from tests.platform.deployment import deployment
from tests.platform.processes import result, wait_until
from tests.platform.services import clickhouse, free_port


def test_events_sent_while_clickhouse_is_down_are_stored_when_it_comes_and_the_worker_ticks(tmp_path: Path) -> None:
    port = free_port()
    with deployment(tmp_path / "var", f"clickhouse://default@127.0.0.1:{port}/default") as running:
        made = result("init", "--project", "second", data=tmp_path / "var", **_given(running.environment))
        key, token = made["write_key"], made["api_token"]
        names = ("Product Viewed", "Product Added")  # two steps: a funnel to watch
        events = [{"type": "track", "event": names[n % 2], "messageId": f"m{n}", "anonymousId": "ann"} for n in range(20)]
        wait_until(lambda: _send(running.url, key, events) == 200, 10, lambda: running.log("web"))
        ready = httpx.get(f"{running.url}/readyz")
        assert (ready.status_code, ready.json()["checks"]["spool"], ready.json()["checks"]["event_store"]) == (200, "ok", "not open yet")
        with clickhouse(tmp_path / "clickhouse", port) as url:
            store = NativeClient(url)
            wait_until(lambda: _count(store) == 20, 60, lambda: running.log("web"))
            assert httpx.get(f"{running.url}/readyz").json()["checks"]["event_store"] == "ok"
            wait_until(lambda: "funnelwatch.tasks.tick[" in running.log("worker") and "succeeded" in running.log("worker"), 60)
            wait_until(lambda: store.query("SELECT count() FROM detector_states").scalar() > 0, 60, lambda: running.log("worker"))
            checks = result("doctor", data=tmp_path / "var", **_given(running.environment))["checks"]
            assert all(check["ok"] for check in checks)
            store.close()
            # More than PostgreSQL has connections to give: none may stay behind.
            asked = [httpx.get(f"{running.url}/api/v1/health/", headers={"Authorization": f"Bearer {token}"}) for _ in range(130)]
            assert {answer.status_code for answer in asked} == {200}, running.log("web")


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "FUNNELWATCH_DATA"}


def _send(url: str, key: str, events: list[dict]) -> int:
    return httpx.post(f"{url}/v1/batch", json={"batch": events, "writeKey": key}).status_code


def _count(store: NativeClient) -> int:
    try:
        return int(store.query("SELECT count() FROM events FINAL").scalar())
    except StoreError:  # the table is not there yet
        return 0
