"""The HTTP face: Segment's paths, exact replies, errors, CORS, limits, keys."""

import base64
import gzip
import json
import socket
import time
from typing import Any

import httpx
import pytest

from funnelwatch import config
from funnelwatch.ingest.limits import RateLimit
from tests.ingest.conftest import KEY, Node, packed

EVENT = {"type": "track", "event": "Product Added", "anonymousId": "v", "messageId": "m-1"}
PATHS = {"track": "t", "page": "p", "screen": "s", "identify": "i", "group": "g", "alias": "a"}


@pytest.mark.parametrize("path", [f"/v1/{name}" for pair in PATHS.items() for name in pair])
def test_every_call_has_its_long_and_its_short_path(node: Node, path: str) -> None:
    body = {"anonymousId": "v", "userId": "u", "event": "E"}
    answer = node.http.post(path, json=body)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    expected = {"t": "E", "p": "page_view", "s": "page_view", "i": "identify", "g": "group", "a": "alias"}[path[4]]
    assert node.stored(1)[0]["name"] == expected


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/batch/"])
def test_a_batch_is_answered_with_exactly_success(node: Node, path: str) -> None:
    answer = node.http.post(path, json={"batch": [EVENT]})
    assert answer.status_code == 200
    assert answer.content == b'{"success": true}'
    assert answer.headers["content-type"] == "application/json"


def test_client_metrics_are_answered_and_ignored(node: Node) -> None:
    assert node.http.post("/v1/m", content=b"whatever").json() == {"success": True}


def test_an_invalid_event_is_set_aside_and_the_rest_is_taken(node: Node) -> None:
    answer = node.batch(EVENT, {"type": "track", "anonymousId": "v"}, {"type": "track", "event": "E"}, 5, {"type": "nonsense", "userId": "u"})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "accepted": 1,
        "rejected": {"missing_event": 1, "missing_identity": 1, "not_an_object": 1, "invalid_type": 1},
    }
    assert [row["name"] for row in node.stored(1)] == ["add_to_cart"]
    assert node.drain.stats().drops[node.project_id] == answer.json()["rejected"]
    counted = f'funnelwatch_ingest_events_rejected_total{{project="{node.project_id}",reason="missing_event"}} 1'
    assert counted in node.app.metrics_text()


@pytest.mark.parametrize("how", ["basic", "body", "query"])
def test_the_key_may_travel_as_basic_user_in_the_body_or_in_the_query(node: Node, how: str) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()} if how == "basic" else {}
    query = f"?writeKey={KEY}" if how == "query" else ""
    for path, body in (("/v1/batch", {"batch": [EVENT]}), ("/v1/track", EVENT)):
        sent = body | ({"writeKey": KEY} if how == "body" else {})
        assert httpx.post(f"{node.url}{path}{query}", json=sent, headers=headers).json() == {"success": True}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
def test_an_authorization_that_is_not_ours_leaves_the_key_of_the_body(node: Node, path: str) -> None:
    body = {"writeKey": KEY, **({"batch": [EVENT]} if path == "/v1/batch" else EVENT)}
    for authorization in ("Bearer of-the-shop", "", "Basic !!!"):
        answer = httpx.post(f"{node.url}{path}", json=body, headers={"Authorization": authorization})
        assert (answer.status_code, answer.json()) == (200, {"success": True}), authorization


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/mp/collect", "/v1/sourceConfig", "/v1/projects/none/settings"])
def test_a_query_of_too_many_fields_carries_no_key(node: Node, path: str) -> None:
    query = "&".join(f"a{number}=1" for number in range(60))
    answer = httpx.request("GET" if "ource" in path or "settings" in path else "POST", f"{node.url}{path}?{query}", json={"batch": [EVENT]})
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")
    assert node.http.post(f"/v1/batch?{query}", json={"batch": [EVENT]}).json() == {"success": True}


@pytest.mark.parametrize("whole", [True, False])
def test_a_fault_of_ours_is_answered_so_that_the_client_tries_again(node: Node, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(node.app._readers, "submit", broken)
    body = json.dumps({"batch": [EVENT]}).encode()
    answer = node.http.post("/v1/batch", content=body if whole else iter([body]))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "try_again", "1")
    monkeypatch.setattr(node.app, "_settings", broken)
    assert httpx.get(f"{node.url}/v1/sourceConfig").json()["code"] == "try_again"


@pytest.mark.parametrize("authorization", ["Basic !!!", "Basic " + base64.b64encode(b"other:").decode(), "Bearer x", "Basic /w=="])
def test_an_unknown_key_is_401_with_code_and_message(node: Node, authorization: str) -> None:
    answer = httpx.post(f"{node.url}/v1/batch", json={"batch": [EVENT]}, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message"}


def test_a_revoked_key_is_refused_from_the_next_snapshot_on(node: Node) -> None:
    assert node.batch(EVENT).status_code == 200
    node.app.snapshot = type(node.app.snapshot)(keys={})
    assert node.batch(EVENT).status_code == 401


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
@pytest.mark.parametrize("encoding", [None, "gzip", "gzip without saying so"])
def test_the_body_is_read_by_its_bytes_whatever_the_headers_say(node: Node, content_type: str, encoding: str | None) -> None:
    document = {"batch": [EVENT]}
    headers = {"Content-Type": content_type} | ({"Content-Encoding": "gzip"} if encoding == "gzip" else {})
    answer = node.http.post("/v1/batch", content=packed(document) if encoding else json.dumps(document).encode(), headers=headers)
    assert answer.json() == {"success": True}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"", 400), (b"[]", 400), (b'"x"', 400), (b'{"batch": 5}', 400), (b'{"batch": {}}', 400), (b"\xff\xfe{", 400),
        (b'{"batch": [{"type":', 400), (gzip.compress(b"{}", mtime=0)[:-9], 400), (b"\x1f\x8bnot gzip", 400), (b"[" * 100_000, 400),
        (b'{"batch": [' + b"[" * 100_000, 400), (b'{"batch": []}', 200),
        (gzip.compress(b" " * 60_000_000, mtime=0), 413), (b'{"batch": ["' + b"x" * 600_000 + b'"]}', 413),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused_with_a_reason(node: Node, body: bytes, status: int) -> None:
    answer = node.http.post("/v1/batch", content=body)
    assert answer.status_code == status
    assert status == 200 or set(answer.json()) == {"code", "message"}


def test_an_event_beyond_32_kb_is_set_aside_in_a_batch_and_413_alone(node: Node) -> None:
    large = EVENT | {"properties": {"text": "x" * 33_000}}
    assert node.batch(EVENT, large).json() == {"success": True, "accepted": 1, "rejected": {"too_large": 1}}
    assert node.http.post("/v1/track", json=large).status_code == 413


def test_an_unknown_path_and_a_wrong_method_are_told_apart(node: Node) -> None:
    assert node.http.post("/v1/nowhere", json={}).status_code == 404
    assert node.http.get("/v1/batch").status_code == 405


def test_a_preflight_allows_what_the_clients_ask_for(node: Node) -> None:
    asked = "anonymousid,authorization,content-type,rsa-retry-attempt,sentat,x-retry-count"
    answer = httpx.options(
        f"{node.url}/v1/t",
        headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked},
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-headers"] == asked
    assert int(answer.headers["access-control-max-age"]) >= 600
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_browsers_may_read_retry_after(node: Node) -> None:
    answer = node.http.post("/v1/t", json=EVENT, headers={"Origin": "null"})
    assert answer.headers["access-control-allow-origin"] == "null"
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 200), ("https://www.shop.example", 200), ("https://evil.example", 403), ("null", 403),
        ("http://www.shop.example", 403), ("https://notshop.example", 403), (None, 200),
    ],
)  # fmt: skip
def test_a_key_is_good_for_its_origins_only(node: Node, origin: str | None, status: int) -> None:
    node.configure(allowed_origins=("https://shop.example", "https://*.shop.example"))
    answer = node.http.post("/v1/t", json=EVENT, headers={"Origin": origin} if origin else {})
    assert answer.status_code == status
    assert origin is None or answer.headers["access-control-allow-origin"] == origin


def test_a_project_over_its_rate_is_told_when_to_come_back(node: Node) -> None:
    with config.override(rate_per_second=10, rate_burst=100):
        node.app._limit = RateLimit(config.get_float("rate_per_second"), config.get_float("rate_burst"))
    assert node.batch(*[EVENT] * 100).status_code == 200
    answer = node.batch(*[EVENT] * 30)
    assert answer.status_code == 429
    assert 2 <= int(answer.headers["retry-after"]) <= 4
    assert answer.json()["code"] == "rate_limited"


def test_a_rate_limit_refills_and_keeps_projects_apart() -> None:
    limit = RateLimit(10, 100)
    assert limit.take(1, 100, now=0) == 0
    assert limit.take(1, 50, now=1) == pytest.approx(4)
    assert limit.take(2, 100, now=1) == 0
    assert limit.take(1, 50, now=5) == 0
    assert limit.take(1, 10_000, now=1000) == 0  # more than the bucket ever holds, but the bucket is full
    assert limit.take(1, 1, now=1000) > 900


def test_analytics_js_gets_settings_that_point_back_here(node: Node) -> None:
    settings = httpx.get(f"{node.url}/v1/projects/{KEY}/settings").json()
    assert settings["integrations"]["Segment.io"] == {
        "apiKey": KEY,
        "apiHost": f"127.0.0.1:{node.port}/v1",
        "protocol": "http",
        "deliveryStrategy": {"config": {"keepalive": True}},
    }
    assert httpx.get(f"{node.url}/v1/projects/none/settings").status_code == 401


@pytest.mark.parametrize(("trusted", "scheme"), [((), "http"), (("127.0.0.1",), "https")])
def test_behind_a_trusted_proxy_that_ends_tls_analytics_js_is_told_https(node: Node, trusted: tuple[str, ...], scheme: str) -> None:
    node.app._proxies = trusted
    settings = httpx.get(f"{node.url}/v1/projects/{KEY}/settings", headers={"X-Forwarded-Proto": "https"}).json()
    assert settings["integrations"]["Segment.io"]["protocol"] == scheme


@pytest.mark.parametrize("path", ["/v1/sourceConfig/", "/v1/sourceConfig"])
def test_rudderstack_s_browser_client_gets_a_source_without_destinations(node: Node, path: str) -> None:
    for given in ({"auth": (KEY, "")}, {"params": {"writeKey": KEY}}):
        source = httpx.get(f"{node.url}{path}", **given).json()["source"]
        assert (source["writeKey"], source["enabled"], source["destinations"]) == (KEY, True, [])
    assert httpx.get(f"{node.url}{path}", params={"writeKey": "none"}).status_code == 401
    assert httpx.head(f"{node.url}{path}", params={"view": "ad"}, auth=(KEY, "")).status_code == 200


def test_a_beacon_carries_its_key_in_the_query(node: Node) -> None:
    body = json.dumps({"batch": [EVENT]})
    assert httpx.post(f"{node.url}/beacon/v1/batch?writeKey={KEY}", content=body).json() == {"success": True}
    assert [row["name"] for row in node.stored(1)] == ["add_to_cart"]


def test_a_body_that_dribbles_in_is_cut_off(node: Node) -> None:
    node.app._bodies.seconds = 0.3
    with socket.create_connection(("127.0.0.1", node.port)) as connection:
        connection.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        assert b" 408 " in connection.recv(1000).split(b"\r\n")[0]
        assert time.monotonic() - begun < 3


def test_a_flood_of_headers_is_refused(node: Node) -> None:
    answer = node.http.post("/v1/batch", json={"batch": []}, headers={f"x-{number}": "y" * 1000 for number in range(40)})
    assert answer.status_code == 431


def test_a_client_that_goes_away_before_its_body_is_complete_leaves_nothing(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as connection:
        connection.sendall(b'POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"batch"')
    assert node.batch(EVENT).status_code == 200
    assert len(node.stored(1)) == 1


def test_ga4_measurement_protocol_is_understood(node: Node) -> None:
    body: dict[str, Any] = {
        "client_id": "c.1",
        "timestamp_micros": int(time.time() * 1e6),
        "events": [
            {
                "name": "purchase",
                "params": {
                    "transaction_id": "T-1", "value": 30.5, "currency": "EUR", "payment_type": "card", "shipping_tier": "dhl",
                    "ga_session_id": 77, "page_location": "https://shop.example/done?utm_source=news&utm_medium=email",
                    "items": [{"item_id": "S", "item_category": "Shoes", "price": 30.5, "quantity": 1}],
                },
            },
        ],
    }  # fmt: skip
    answer = httpx.post(f"{node.url}/mp/collect?measurement_id=G-1&api_secret={KEY}", json=body)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    row = node.stored(1)[0]
    assert {name: row[name] for name in ("name", "order_id", "currency", "payment_method", "shipping_method", "source", "medium")} == {
        "name": "purchase", "order_id": "T-1", "currency": "EUR", "payment_method": "card", "shipping_method": "dhl",
        "source": "news", "medium": "email",
    }  # fmt: skip
    assert (str(row["value"]), row["item_sku"], row["item_category"]) == ("30.5", ["S"], ["Shoes"])
    assert row["session_id"].endswith(".77")
    assert httpx.post(f"{node.url}/mp/collect?api_secret=wrong", json=body).status_code == 401
    assert httpx.post(f"{node.url}/mp/collect?api_secret={KEY}", json={"events": 3}).status_code == 400
