"""GA4's BigQuery export as JSONL: one event a line, in the documented export schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from funnelwatch.core.clock import from_ms
from funnelwatch.ingest.formats import Message, Reject
from funnelwatch.ingest.formats.countries import iso_code
from funnelwatch.ingest.formats.identity import message_id
from funnelwatch.ingest.formats.jsonlines import objects
from funnelwatch.ingest.formats.source import Source

#: Parameters that have a place of their own in a message; all others stay properties.
_PLACED = {"ga_session_id", "page_location", "page_referrer", "page_title", "source", "medium", "campaign"}


def read(source: Source, mapping: Path | None = None) -> Iterator[Message | Reject]:
    """A track message an event. Events without a time or a name are rejected."""
    for row in objects(source):
        if isinstance(row, Reject):
            yield row
            continue
        line, event = row
        try:
            yield _message(line, event)
        except (AttributeError, TypeError, ValueError, KeyError):
            yield Reject("unexpected_shape", line.decode())


def _message(line: bytes, row: dict[str, Any]) -> Message | Reject:
    try:
        at = from_ms(int(row["event_timestamp"]) // 1000)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return Reject("invalid_time", line.decode())
    if not row.get("event_name"):
        return Reject("missing_event", line.decode())
    parameters = _parameters(row.get("event_params"))
    visitor = str(row.get("user_pseudo_id") or "")
    message = {
        "type": "track",
        "messageId": message_id([line]),
        "event": row["event_name"],
        "timestamp": at.isoformat(),
        "anonymousId": visitor,
        "properties": _properties(row, parameters),
        "context": _context(row, parameters, visitor),
    }
    if row.get("user_id"):
        message["userId"] = str(row["user_id"])
    return message


def _parameters(rows: Any) -> dict[str, Any]:
    """`[{"key", "value": {"string_value" | "int_value" | ...}}]` as a plain mapping. BigQuery writes 64-bit integers as text."""
    found = {}
    for row in rows if isinstance(rows, list) else ():
        value = row.get("value") or {}
        if value.get("string_value") is not None:
            found[row["key"]] = value["string_value"]
        elif value.get("int_value") is not None:
            found[row["key"]] = int(value["int_value"])
        else:
            numbers = (value.get("double_value"), value.get("float_value"))
            found[row["key"]] = next((number for number in numbers if number is not None), None)
    return found


def _properties(row: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in parameters.items() if key not in _PLACED and value is not None}
    order = row.get("ecommerce") or {}
    if order.get("transaction_id") not in (None, "", "(not set)"):
        properties.setdefault("transaction_id", order["transaction_id"])
    if order.get("purchase_revenue") is not None:
        properties.setdefault("value", order["purchase_revenue"])
    if row.get("items"):
        properties["items"] = [{key: value for key, value in item.items() if value is not None} for item in row["items"]]
    return properties


def _context(row: dict[str, Any], parameters: dict[str, Any], visitor: str) -> dict[str, Any]:
    device = row.get("device") or {}
    web = device.get("web_info") or {}
    geo = row.get("geo") or {}
    # The event's own source is the session's; traffic_source is how the user first came, ever.
    collected = row.get("collected_traffic_source") or {}
    session = parameters.get("ga_session_id")
    return _filled(
        {
            "library": {"name": "ga4-bigquery-export"},
            "sessionId": f"{visitor}.{session}" if session is not None else "",
            "device": {"type": device.get("category")},
            "os": {"name": device.get("operating_system"), "version": device.get("operating_system_version")},
            "browser": {
                "name": web.get("browser") or device.get("browser"),
                "version": web.get("browser_version") or device.get("browser_version"),
            },
            "app": {"version": (row.get("app_info") or {}).get("version")},
            "location": {"country": iso_code(geo.get("country") or ""), "region": geo.get("region")},
            "campaign": {
                "source": collected.get("manual_source") or parameters.get("source"),
                "medium": collected.get("manual_medium") or parameters.get("medium"),
                "name": collected.get("manual_campaign_name") or parameters.get("campaign"),
            },
            "page": {
                "url": parameters.get("page_location"),
                "referrer": parameters.get("page_referrer"),
                "title": parameters.get("page_title"),
            },
        }
    )


def _filled(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without empty values and empty branches."""
    kept = {key: _filled(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in kept.items() if value not in (None, "", {})}
