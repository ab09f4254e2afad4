"""What a connector is: a module with `verify` and `parse`, named in CONNECTORS. One file and one line add one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol

CONNECTORS = {
    "signed": "funnelwatch.changes.connectors.signed",
    "github": "funnelwatch.changes.connectors.github",
    "launchdarkly": "funnelwatch.changes.connectors.launchdarkly",
    "shopify": "funnelwatch.changes.connectors.shopify",
    "woocommerce": "funnelwatch.changes.connectors.woocommerce",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a webhook tells: `changes` as the contract writes them, `events` as Segment messages from a server.

    `once`: ids of messages dated by the delivery. Their repetitions have other times, which the store would take for other events.
    """

    changes: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    once: frozenset[str] = frozenset()


class Connector(Protocol):
    """A connector's module. Header names come in lower case, the body as it was sent."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> None:
        """Raises core.signatures.BadSignature unless the body was signed with the secret."""

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        """What the webhook tells; nothing for topics we do not use. Raises ValueError for a body that cannot be read."""

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        """The sender's own id of this event, the same on its retries; empty where it has none."""


def load(kind: str) -> Connector:
    """The connector's module. Raises KeyError for an unknown kind."""
    return import_module(CONNECTORS[kind])  # type: ignore[return-value]


def server_event(
    library: str,
    name: str,
    message_id: str,
    at: str,
    person: str,
    properties: dict[str, Any],
    context: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Segment message from a server, marked with the connector it came by. Empty properties are left out.

    `at` is any ISO 8601 time; `person` the shop's customer number, else a name for the order's unknown buyer.
    """
    return {
        "type": "track",
        "event": name,
        "messageId": message_id,
        "timestamp": utc(at),
        "userId": person,
        "channel": "server",
        "properties": {key: value for key, value in properties.items() if value not in (None, "", [])},
        "context": {"library": {"name": f"funnelwatch-{library}", "version": "1"}, **(context or {})},
    }


def utc(text: str) -> str:
    """An ISO 8601 time, taken as UTC where it names no zone, as `2026-03-02T09:06:00.000Z`. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
