"""LaunchDarkly: entries of the audit log about flags."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from funnelwatch.changes.connector import Parsed
from funnelwatch.core import signatures

_SITE = "https://app.launchdarkly.com"


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """`X-LD-Signature`: hex. LaunchDarkly sends it only for hooks with a secret, and we take no others."""
    signatures.require_equal(headers.get("x-ld-signature", ""), signatures.hex_digest(secret, body))


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """A change for an entry about a flag, dated by the entry and not by its arrival: the order is not guaranteed."""
    content = json.loads(body)
    if content.get("kind") != "flag":
        return Parsed()
    member = content.get("member") or {}
    author = " ".join(part for part in (member.get("firstName"), member.get("lastName")) if part)
    link = ((content.get("_links") or {}).get("site") or {}).get("href", "")
    verb = str(content.get("titleVerb") or "changed the flag")
    change = {
        "kind": "feature_flag",
        "title": f"{content['name']}: {verb}"[:300],
        "started_at": datetime.fromtimestamp(content["date"] / 1000, UTC).isoformat(),
        "source": "launchdarkly",
        "external_id": str(content["_id"]),
        "url": _SITE + link if link.startswith("/") else link,
        "author": author[:100],
    }
    return Parsed(changes=[change])


def delivery_id(headers: Mapping[str, str]) -> str:
    """LaunchDarkly gives deliveries no id; the entry's own id is in the signed body."""
    return ""
