"""A signed webhook (Standard Webhooks 1.0). It goes to public addresses only and follows no redirect."""

import ipaddress
import json
import socket
from urllib.parse import urlsplit, urlunsplit

import httpx

from funnelwatch.alert.channel import DeliveryError, retry_after
from funnelwatch.alert.message import Message
from funnelwatch.core import clock, signatures
from funnelwatch.incidents import contract
from funnelwatch.incidents.models import Delivery

EVENTS = frozenset({"opened", "updated", "escalated", "acknowledged", "resolved"})
REQUIRED = ("url", "secret")

#: What IANA hands out for use on the internet; leaves out the translation prefix 64:ff9b::/96.
_UNICAST = ipaddress.ip_network("2000::/3")


def send(delivery: Delivery, message: Message) -> str:
    """Post the incident as the contract's JSON; returns the webhook id, the same on every repeat. Raises DeliveryError."""
    config = delivery.channel.config
    identity = f"msg_{delivery.dedup_key.replace(':', '_')}"
    now = clock.now()
    content = {"type": f"incident.{delivery.event}", "timestamp": contract.iso(now), "data": message.payload}
    body = json.dumps(content, ensure_ascii=False).encode()
    seconds = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "FunnelWatch",
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signatures.standard_webhook(config["secret"], identity, seconds, body),
    }
    status, wait = _post(config["url"], body, headers)
    if 200 <= status < 300:
        return identity
    permanent = status == 410 or 300 <= status < 400
    raise DeliveryError(f"the webhook answered {status}", permanent=permanent, retry_after=retry_after(wait))


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
    """Status and Retry-After. The connection goes to the very address that was checked, so a second look-up cannot move it."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        port = 0
    if not port or not parts.hostname or parts.username:
        raise DeliveryError("the webhook's address must be like https://example.com/hook", permanent=True)
    address = public_address(parts.hostname, port)
    literal = f"[{address}]" if ":" in address else address
    pinned = urlunsplit((parts.scheme, f"{literal}:{port}", parts.path or "/", parts.query, ""))
    try:
        with (
            httpx.Client(timeout=10, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST",
                pinned,
                content=body,
                headers=headers | {"Host": parts.netloc},
                extensions={"sni_hostname": parts.hostname},
            ) as answer,
        ):
            return answer.status_code, answer.headers.get("Retry-After")
    except httpx.HTTPError as error:
        raise DeliveryError(f"the webhook cannot be reached: {error or type(error).__name__}") from error


def public_address(host: str, port: int) -> str:
    """An address of `host`. Raises DeliveryError where it has none, or any of them is not on the public internet."""
    try:
        found = {row[4][0] for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise DeliveryError(f"{host} has no address: {error}") from error
    for text in found:
        if not _is_public(ipaddress.ip_address(text.split("%")[0])):
            raise DeliveryError(f"{host} is {text}, which is not a public address", permanent=True)
    return sorted(found)[0]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Also looks through the IPv6 forms that carry an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return _is_public(address.ipv4_mapped)
        if address.sixtofour or address.teredo or address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast
