import gzip
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.ingest.formats import FORMATS, Reject, reader
from funnelwatch.ingest.formats.countries import iso_code
from funnelwatch.ingest.formats.source import Source

TEXT = st.text("ab1.é\x00", max_size=8)  # the whole of Unicode takes seconds to set up and finds no more here
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def read(format_name: str, path: Path, content: bytes) -> list[Any]:
    path.write_bytes(content)
    return list(reader(format_name)(Source(path), None))


def rows(*objects: Any) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in objects)


def test_every_format_can_be_loaded() -> None:
    assert all(callable(reader(name)) for name in FORMATS)


def test_segment_lines_come_through_as_they_are_for_ingest_to_judge(tmp_path: Path) -> None:
    message = {"type": "track", "event": "Order Completed", "messageId": "m1", "properties": {"total": 12.5}}
    found = read("segment", tmp_path / "f", rows(message) + b'\n{"half": \n[1]\n')
    assert [json.loads(line) for line in found[:1]] == [message]
    assert found[1:] == [b'{"half": ', b"[1]"]


def test_a_half_written_file_ends_with_a_reject_that_holds_the_half_line(tmp_path: Path) -> None:
    packed = gzip.compress(rows(*({"n": number, "text": "x" * 50} for number in range(2000))))
    *good, last = read("segment", tmp_path / "f", packed[:-40])
    assert len(good) > 1000
    assert all(isinstance(message, bytes) for message in good)
    assert isinstance(last, Reject)
    assert last.reason == "truncated_file"
    assert last.raw.startswith('{"n"')


GA4_EVENT = {
    "event_timestamp": "1606714975631524",
    "event_name": "purchase",
    "event_params": [
        {"key": "ga_session_id", "value": {"int_value": "1606714970"}},
        {"key": "page_location", "value": {"string_value": "https://shop.example/thanks?utm_source=x"}},
        {"key": "currency", "value": {"string_value": "USD"}},
        {"key": "payment_type", "value": {"string_value": "card"}},
        {"key": "shipping_fee", "value": {"double_value": 4.5}},
    ],
    "user_pseudo_id": "18251922.99",
    "device": {
        "category": "mobile", "operating_system": "Android", "operating_system_version": "Android 14",
        "web_info": {"browser": "Chrome", "browser_version": "140.0"},
    },
    "geo": {"country": "South Korea", "region": "Seoul"},
    "traffic_source": {"source": "first-ever"},
    "collected_traffic_source": {"manual_source": "news", "manual_medium": "email", "manual_campaign_name": "w46"},
    "ecommerce": {"transaction_id": "T-1", "purchase_revenue": 44.5},
    "items": [{"item_id": "SKU1", "item_category": "mugs", "price": 20.0, "quantity": 2, "coupon": None}],
}  # fmt: skip


def test_a_ga4_export_row_becomes_a_message_with_session_device_campaign_and_items(tmp_path: Path) -> None:
    (message,) = read("ga4", tmp_path / "f", rows(GA4_EVENT))
    assert message["event"] == "purchase"
    assert message["timestamp"] == "2020-11-30T05:42:55.631000+00:00"
    assert message["anonymousId"] == "18251922.99"
    assert message["properties"] == {
        "currency": "USD", "payment_type": "card", "shipping_fee": 4.5, "transaction_id": "T-1", "value": 44.5,
        "items": [{"item_id": "SKU1", "item_category": "mugs", "price": 20.0, "quantity": 2}],
    }  # fmt: skip
    assert message["context"] == {
        "library": {"name": "ga4-bigquery-export"},
        "sessionId": "18251922.99.1606714970",
        "device": {"type": "mobile"},
        "os": {"name": "Android", "version": "Android 14"},
        "browser": {"name": "Chrome", "version": "140.0"},
        "location": {"country": "KR", "region": "Seoul"},
        "campaign": {"source": "news", "medium": "email", "name": "w46"},
        "page": {"url": "https://shop.example/thanks?utm_source=x"},
    }


def test_the_same_ga4_row_always_has_the_same_message_id(tmp_path: Path) -> None:
    other = GA4_EVENT | {"event_timestamp": "1606714975631525"}
    first, second, third = read("ga4", tmp_path / "f", rows(GA4_EVENT, GA4_EVENT, other))
    assert first["messageId"] == second["messageId"] != third["messageId"]


ORDER = {
    "id": 450789469,
    "processed_at": "2026-01-10T11:00:00-05:00",
    "currency": "USD",
    "total_price": "409.94",
    "customer": {"id": 207119551},
    "client_details": {"user_agent": "Mozilla/5.0", "browser_ip": "203.0.113.9"},
    "shipping_address": {"country_code": "CA", "province_code": "ON"},
    "payment_gateway_names": ["shopify_payments"],
    "shipping_lines": [{"title": "Express"}],
    "discount_codes": [{"code": "SALE20"}],
    "line_items": [{"sku": "IPOD-1", "product_id": 63, "title": "IPod", "quantity": 2, "price": "199.00"}],
    "refunds": [
        {
            "id": 509562969, "created_at": "2026-01-12T09:00:00-05:00",
            "transactions": [{"kind": "refund", "amount": "199.00"}, {"kind": "void", "amount": "5.00"}],
            "refund_line_items": [{"line_item": {"sku": "IPOD-1", "quantity": 1, "price": "199.00"}}],
        }
    ],
}  # fmt: skip


def test_a_shopify_order_becomes_a_server_side_purchase_and_its_refund_a_refund(tmp_path: Path) -> None:
    purchase, refund = read("shopify", tmp_path / "f", rows(ORDER))
    assert (purchase["event"], purchase["channel"], purchase["userId"]) == ("purchase", "server", "207119551")
    assert purchase["properties"]["order_id"] == refund["properties"]["order_id"] == "450789469"
    assert purchase["properties"]["value"] == "409.94"
    assert purchase["properties"]["coupon"] == "SALE20"
    assert purchase["properties"]["products"][0]["sku"] == "IPOD-1"
    assert purchase["context"]["location"] == {"country": "CA", "region": "ON"}
    assert (refund["event"], refund["properties"]["value"]) == ("refund", 199.0)


def test_a_shopify_row_without_order_id_or_with_another_shape_is_rejected_with_the_reason(tmp_path: Path) -> None:
    found = read("shopify", tmp_path / "f", rows({"total_price": "1"}, ORDER | {"customer": "Bob"}, ORDER | {"processed_at": None}))
    assert [reject.reason for reject in found] == ["missing_order_id", "unexpected_shape", "invalid_time"]


@given(row=st.dictionaries(st.sampled_from([*GA4_EVENT, *ORDER]), JSON))
def test_no_json_makes_a_reader_fail(tmp_path_factory, row: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "f"
    for name in ("segment", "ga4", "shopify"):
        for found in read(name, path, rows(GA4_EVENT | row, ORDER | row)):
            assert isinstance(found, (dict, bytes, Reject))


def test_country_names_become_codes_and_what_is_no_country_becomes_nothing() -> None:
    names = ["United States", "us", "Turkey", "Türkiye", "Hong Kong", "Côte d’Ivoire", "Bosnia & Herzegovina", "(not set)", "Unknown", "XX"]
    assert [iso_code(name) for name in names] == ["US", "US", "TR", "TR", "HK", "CI", "BA", "", "", ""]
