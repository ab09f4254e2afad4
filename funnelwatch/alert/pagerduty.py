"""PagerDuty Events API v2: trigger, acknowledge and resolve under one dedup key an incident, so a repeat changes nothing."""

from typing import Any

import httpx
from django.conf import settings

from funnelwatch.alert.channel import DeliveryError, retry_after
from funnelwatch.alert.message import Message
from funnelwatch.incidents.models import Delivery

EVENTS = frozenset({"opened", "escalated", "acknowledged", "resolved"})
REQUIRED = ("routing_key",)

_ACTIONS = {"opened": "trigger", "escalated": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
_SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_LONGEST_SUMMARY = 1024


def send(delivery: Delivery, message: Message) -> str:
    """Enqueue the event; returns the dedup key. Raises DeliveryError."""
    key = f"funnelwatch-incident-{message.incident_id}"
    event: dict[str, Any] = {
        "routing_key": delivery.channel.config["routing_key"],
        "event_action": _ACTIONS[delivery.event],
        "dedup_key": key,
    }
    if event["event_action"] == "trigger":
        event |= _trigger(message)
    try:
        answer = httpx.post(f"{settings.PAGERDUTY_URL.rstrip('/')}/v2/enqueue", json=event, timeout=10)
    except httpx.HTTPError as error:
        raise DeliveryError(f"PagerDuty cannot be reached: {error or type(error).__name__}") from error
    if answer.status_code == 202:
        return key
    text = f"PagerDuty answered {answer.status_code}: {answer.text[:200]}"
    again = answer.status_code == 429 or answer.status_code >= 500
    raise DeliveryError(text, permanent=not again, retry_after=retry_after(answer.headers.get("Retry-After")))


def _trigger(message: Message) -> dict[str, Any]:
    return {
        "client": "FunnelWatch",
        "client_url": message.url,
        "links": [{"href": message.url, "text": "Open incident"}, {"href": message.playbook_url, "text": "Playbook"}],
        "payload": {
            "summary": message.text[:_LONGEST_SUMMARY],
            "source": message.project,
            "severity": _SEVERITIES[message.severity],
            "timestamp": message.started_at.isoformat(),
            "component": message.payload["step"],
            "group": message.payload["funnel"],
            "class": message.payload["kind"],
            "custom_details": {
                "what": message.measure,
                "money": message.money,
                "cause": f"{message.likelihood}: {message.cause}" if message.cause else "not known yet",
                "evidence": list(message.evidence),
                "next steps": list(message.steps),
            },
        },
    }
