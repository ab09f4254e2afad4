"""Separate processes, PostgreSQL, Redis and ClickHouse over its native protocol."""

from collections.abc import Mapping
from pathlib import Path

import httpx

from funnelwatch.core import clock
from funnelwatch.store.client import StoreError
from funnelwatch.store.queries import drained
from funnelwatch.store.server import NativeClient
from tests.platform.deployment import deployment, web_process
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


def test_an_erasure_asked_of_one_node_empties_the_spools_of_all(tmp_path: Path) -> None:
    with (
        clickhouse(tmp_path / "clickhouse", free_port()) as url,
        deployment(tmp_path / "one", url) as running,
        web_process(running.environment, tmp_path / "two") as second,
    ):
        made = result("init", "--project", "second", data=tmp_path / "one", **_given(running.environment))
        spools = [tmp_path / name / "spool" for name in ("one", "two")]
        for number, node in enumerate((running.url, second)):
            events = [{"type": "track", "event": "Product Viewed", "messageId": f"{number}-{n}", "anonymousId": ("ann", "ben")[n % 2]} for n in range(6)]
            wait_until(lambda node=node, events=events: _send(node, made["write_key"], events) == 200, 10)
        store = NativeClient(url)
        wait_until(lambda: len(drained.nodes(store, clock.now_ms())) == 2, 20)
        receipt = httpx.post(
            f"{running.url}/api/v1/projects/{_project(running.url, made['api_token'])}/erase/", json={"person": "ann"}, timeout=90,
            headers={"Authorization": f"Bearer {made['api_token']}"},
        ).json()  # fmt: skip
        nodes = {(spool / "node").read_text() for spool in spools}
        assert (receipt["nodes"], receipt["open"], receipt["left"]) == (dict.fromkeys(nodes, 3), [], 0), receipt
        assert receipt["rows"]["events"] == 6
        ann = receipt["person"].encode()
        assert not any(ann in path.read_bytes() for spool in spools for path in spool.iterdir())
        assert _count(store) == 6
        store.close()


def _project(url: str, token: str) -> int:
    (project,) = httpx.get(f"{url}/api/v1/projects/", headers={"Authorization": f"Bearer {token}"}).json()["results"]
    return int(project["id"])


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "FUNNELWATCH_DATA"}


def _send(url: str, key: str, events: list[dict]) -> int:
    return httpx.post(f"{url}/v1/batch", json={"batch": events, "writeKey": key}).status_code


def _count(store: NativeClient) -> int:
    try:
        return int(store.query("SELECT count() FROM events FINAL").scalar())
    except StoreError:  # the table is not there yet
        return 0
