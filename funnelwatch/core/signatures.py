"""HMAC signatures of webhooks, made and checked. Every comparison takes constant time."""

import base64
import binascii
import hashlib
import hmac

from funnelwatch.core import clock

#: Standard Webhooks' tolerance, also Slack's: how far a signed time may be from ours, in seconds.
TOLERANCE_S = 300


class BadSignature(Exception):
    """The message was not signed with our secret, or its signed time is too far from now."""


def hex_digest(secret: str, body: bytes) -> str:
    """Hexadecimal HMAC-SHA256 of the raw body, as GitHub (after `sha256=`) and LaunchDarkly send it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def base64_digest(secret: str, body: bytes) -> str:
    """Base64 HMAC-SHA256 of the raw body, as Shopify and WooCommerce send it."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def require_equal(given: str, right: str) -> None:
    """Raises BadSignature unless both are the same."""
    if not hmac.compare_digest(given.encode(errors="replace"), right.encode()):
        raise BadSignature("the signature does not match")


def standard_webhook(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header of Standard Webhooks 1.0: `v1,` and base64 HMAC-SHA256 of `id.timestamp.body`.

    A secret that starts with `whsec_` is base64 after it; any other is taken as text.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def verify_standard_webhook(secret: str, message_id: str, timestamp: str, header: str, body: bytes) -> None:
    """Check the three headers of Standard Webhooks; several signatures by spaces. Raises BadSignature."""
    if not message_id:
        raise BadSignature("webhook-id is missing")
    right = standard_webhook(secret, message_id, require_recent(timestamp), body)
    given = [hmac.compare_digest(part.encode(errors="replace"), right.encode()) for part in header.split()]
    if not any(given):
        raise BadSignature("the signature does not match")


def verify_slack(secret: str, timestamp: str, header: str, body: bytes) -> None:
    """Check `X-Slack-Signature` (`v0=` hex over `v0:timestamp:body`). Raises BadSignature."""
    signed = f"v0:{require_recent(timestamp)}:".encode() + body
    require_equal(header, "v0=" + hex_digest(secret, signed))


def require_recent(timestamp: str) -> int:
    """The signed time in seconds. Raises BadSignature when it is no number or not within TOLERANCE_S of now."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature("the signed time is missing or no number of seconds")
    if abs(clock.now().timestamp() - int(timestamp)) > TOLERANCE_S:
        raise BadSignature(f"the signed time is more than {TOLERANCE_S // 60} minutes from now")
    return int(timestamp)


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise BadSignature("the secret after whsec_ is not base64") from None
