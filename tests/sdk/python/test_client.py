"""What a shop's server calls, and what goes over the wire for it."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from funnelwatch_sdk import Client, Dropped

from tests.sdk.python.conftest import ROOT, SDK

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "sdk/contract/batch.schema.json").read_text()))


def test_a_batch_is_gzipped_authenticated_and_shaped_as_the_contract_says(collector, connect, errors):
    client = connect()
    for n in range(40):
        client.track("gift_wrapped", {"n": n}, user_id="customer-881")
    client.identify("customer-881", {"plan": "loyalty"}, anonymous_id="a1")
    client.page({"url": "https://shop.example/", "path": "/"}, anonymous_id="a1")
    assert client.flush(5)
    path, headers, size = collector.requests[0]
    assert path == "/v1/batch"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"wk_test:").decode()
    assert headers["content-encoding"] == "gzip"
    assert size < len(json.dumps(collector.batches[0])) / 4
    assert len(collector.ids) == 42
    for batch in collector.batches:
        SCHEMA.validate(batch)
    assert {event["channel"] for event in collector.events} == {"server"}
    assert errors == []


def _same(sent: dict[str, Any], example: dict[str, Any]) -> None:
    library = sent["context"].pop("library")
    assert library == {"name": "funnelwatch-python", "version": "1.0.0"}
    expected = {**example, "context": {key: value for key, value in example["context"].items() if key != "library"}}
    assert {**sent, "messageId": ""} == {**expected, "messageId": ""}


def test_the_commerce_calls_write_what_the_shared_examples_say(collector, connect):
    examples = {
        name: json.loads((ROOT / f"sdk/contract/examples/{name}_server.json").read_text())["message"]
        for name in ("purchase", "refund", "payment_failed", "out_of_stock")
    }
    client = connect()

    def at(name: str) -> dict[str, Any]:
        return {"user_id": "customer-881", "timestamp": datetime.fromisoformat(examples[name]["timestamp"])}

    items = examples["purchase"]["properties"]["items"]
    client.purchase(
        "ORD-70041", Decimal("89.01"), "INR", items=items, coupon="SPRING10", payment_method="card", payment_provider="razorpay",
        shipping_method="express", **at("purchase"),
    )  # fmt: skip
    client.refund("ORD-70041", 19.9, "INR", **at("refund"))
    client.payment_failed(
        "ORD-70043",
        "do_not_honor",
        value=39.5,
        currency="INR",
        payment_method="card",
        payment_provider="razorpay",
        **at("payment_failed"),
    )
    client.stock("SKU-2210", "out_of_stock", name="Canvas belt", category="Accessories", **at("out_of_stock"))
    client.flush(5)
    SCHEMA.validate(collector.batches[0])
    for event in collector.events:
        _same(event, examples[event["event"]])


def test_a_payment_result_is_a_failure_or_a_success(collector, connect):
    client = connect()
    client.payment_result("1", False, code="expired_card", value=3, currency="EUR")
    client.payment_result("1", True, value=3, currency="EUR", payment_provider="stripe")
    client.stock("SKU-1", "in_stock")
    client.flush(5)
    assert [event["event"] for event in collector.events] == ["payment_failed", "payment_succeeded", "stock_changed"]
    assert collector.events[0]["properties"]["code"] == "expired_card"
    assert [event["anonymousId"] for event in collector.events] == ["order-1", "order-1", "stock-SKU-1"]


def test_an_order_told_twice_has_one_identity(collector, connect):
    client = connect()
    assert client.purchase("7", 10, "EUR") == client.purchase("7", 10, "EUR")
    assert client.refund("7", 5, "EUR", refund_id="r1") == client.refund("7", 5, "EUR", refund_id="r1")
    assert client.refund("7", 5, "EUR") != client.refund("7", 5, "EUR")


def test_times_with_another_zone_are_sent_as_utc(collector, connect):
    client = connect()
    client.track(
        "x", user_id="u", timestamp=datetime(2026, 3, 2, 19, 55, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    )
    client.track("y", {"when": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("1.10"), "tags": {"a"}}, user_id="u")
    client.flush(5)
    assert collector.events[0]["timestamp"] == "2026-03-02T14:25:00.000Z"
    assert collector.events[1]["properties"] == {"when": "2026-01-01T00:00:00.000Z", "price": 1.1, "tags": ["a"]}


def test_batches_stay_below_the_servers_limits(collector, connect, errors):
    client = connect(flush_at=500, compress=False)
    sent = {client.track("x", {"pad": "y" * 30_000}, user_id="u") for _ in range(40)}
    assert client.flush(10)
    assert collector.ids == sent
    assert max(size for _, _, size in collector.requests) <= 500_000
    client.track("x", {"pad": "y" * 33_000}, user_id="u")
    client.track("x", {"pad": "é" * 17_000}, user_id="u")
    assert [type(error) for error in errors] == [Dropped, Dropped]


@pytest.mark.parametrize("properties", [{"x": float("nan")}, {"x": object()}, {"x": float("inf")}], ids=["nan", "object", "infinity"])
def test_what_json_cannot_carry_is_dropped_and_reported(connect, errors, properties):
    connect().track("x", properties, user_id="u")
    assert isinstance(errors[0], Dropped)


def test_an_event_without_anybody_is_dropped_and_reported(connect, errors):
    connect().track("x")
    assert "needs a user_id" in str(errors[0])


def test_a_full_queue_drops_the_newest_and_never_blocks(collector, connect, errors):
    collector.script = ["slow"]
    client = connect(max_queue=10, flush_at=1)
    client.track("x", {"n": 0}, user_id="u")
    while not collector.requests:
        time.sleep(0.01)
    # The server holds the first for 0.6 s; nobody takes from the queue meanwhile.
    for n in range(1, 50):
        client.track("x", {"n": n}, user_id="u")
    assert len(collector.requests) == 1
    assert client.flush(10)
    assert [event["properties"]["n"] for event in collector.events] == list(range(11))
    assert [type(error) for error in errors] == [Dropped] * 39


def test_many_threads_lose_and_double_nothing(collector, connect, errors):
    client = connect(flush_at=37)
    sent: list[str] = []

    def work() -> None:
        for n in range(100):
            sent.append(client.track("x", {"n": n}, user_id="u"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(10)
    assert len(collector.events) == 800
    assert collector.ids == set(sent)
    assert errors == []


def test_the_context_manager_sends_what_is_left_and_later_calls_are_dropped(collector, connect, errors):
    with connect(flush_interval=60) as client:
        client.track("x", user_id="u")
    assert len(collector.events) == 1
    client.track("y", user_id="u")
    assert "closed" in str(errors[0])


SCRIPT = """
import os, sys
from funnelwatch_sdk import Client
client = Client("wk", sys.argv[1], flush_interval=60)
client.track("parent", user_id="u")
if "fork" in sys.argv:
    if os.fork() == 0:
        client.track("child", user_id="u")
        client.flush(5)
        os._exit(0)
    os.wait()
"""


@pytest.mark.parametrize(
    ("arguments", "names"), [([], ["parent"]), (["fork"], ["child", "parent"])], ids=["exit", "fork"]
)
def test_the_exit_hook_sends_what_is_left_and_a_fork_sends_nothing_twice(collector, arguments, names):
    environment = os.environ | {"PYTHONPATH": str(SDK)}
    subprocess.run([sys.executable, "-c", SCRIPT, collector.url, *arguments], env=environment, check=True, timeout=30)
    assert sorted(event["event"] for event in collector.events) == names


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("", "https://x.example"),
        *(("wk", host) for host in ("x.example", "ftp://x.example", "https://", "https://bücher..example", "https://x:port", "http://[::1")),
    ],
)
def test_a_key_or_host_that_cannot_work_is_refused_at_once(key, host):
    with pytest.raises(ValueError, match=r"write_key|host"):
        Client(key, host)
