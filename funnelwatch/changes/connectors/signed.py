"""Anything that can sign by Standard Webhooks: a change, a list of changes, or `{"changes": [...], "events": [...]}`."""

import json
from collections.abc import Mapping

from funnelwatch.changes.connector import Parsed
from funnelwatch.core import signatures


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """The three headers of Standard Webhooks."""
    get = headers.get
    signatures.verify_standard_webhook(
        secret, get("webhook-id", ""), get("webhook-timestamp", ""), get("webhook-signature", ""), body
    )


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Changes as they are; events marked as a server's, with the webhook's id as identity where they have none."""
    content = json.loads(body)
    if isinstance(content, list):
        return Parsed(changes=content)
    if not isinstance(content, dict):
        raise ValueError("the body must be a change, a list of changes, or an object with changes and events")
    if "changes" not in content and "events" not in content:
        return Parsed(changes=[content])
    changes, events = content.get("changes", []), content.get("events", [])
    if (
        not isinstance(changes, list)
        or not isinstance(events, list)
        or not all(isinstance(row, dict) for row in events)
    ):
        raise ValueError("changes and events must be lists of objects")
    identity = headers["webhook-id"]
    return Parsed(
        changes, [{"messageId": f"{identity}-{n}", **row, "channel": "server"} for n, row in enumerate(events)]
    )


def delivery_id(headers: Mapping[str, str]) -> str:
    """The signed webhook id."""
    return headers.get("webhook-id", "")
