"""GitHub: finished deployments to production, published releases, pushes to the default branch."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from funnelwatch.changes.connector import Parsed, utc
from funnelwatch.core import signatures


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """`X-Hub-Signature-256: sha256=<hex>`."""
    signatures.require_equal(headers.get("x-hub-signature-256", ""), "sha256=" + signatures.hex_digest(secret, body))


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """The change an event stands for; other events and unfinished ones stand for none."""
    content = json.loads(parse_qs(body.decode())["payload"][0] if body.startswith(b"payload=") else body)
    reader = {"deployment_status": _deployment, "release": _release, "push": _push}.get(
        headers.get("x-github-event", "")
    )
    change = reader(content) if reader else None
    return Parsed(changes=[{"kind": "deploy", "source": "github", **change}] if change else [])


def delivery_id(headers: Mapping[str, str]) -> str:
    """GitHub's GUID of the delivery, kept by a redelivery."""
    return headers.get("x-github-delivery", "")


def _deployment(content: dict[str, Any]) -> dict[str, Any] | None:
    status, deployment, repository = (
        content["deployment_status"],
        content["deployment"],
        content["repository"]["full_name"],
    )
    environment = str(deployment["environment"])
    production = deployment.get("production_environment") or environment.lower().startswith(("prod", "live"))
    if status["state"] != "success" or not production:
        return None
    return {
        "title": f"{repository} {deployment['ref']} to {environment}"[:300],
        "started_at": utc(status["created_at"]),
        "external_id": f"{repository}/deployments/{deployment['id']}",
        "url": status.get("target_url") or content["repository"]["html_url"],
        "author": (deployment.get("creator") or {}).get("login", ""),
    }


def _release(content: dict[str, Any]) -> dict[str, Any] | None:
    release, repository = content["release"], content["repository"]["full_name"]
    if content["action"] != "published" or release.get("draft"):
        return None
    return {
        "title": f"{repository} {release.get('name') or release['tag_name']}"[:300],
        "started_at": utc(release["published_at"]),
        "external_id": f"{repository}/releases/{release['id']}",
        "url": release["html_url"],
        "author": (release.get("author") or {}).get("login", ""),
    }


def _push(content: dict[str, Any]) -> dict[str, Any] | None:
    repository, head = content["repository"], content.get("head_commit")
    branch = repository["default_branch"]
    if content["ref"] != f"refs/heads/{branch}" or content.get("deleted") or not head:
        return None
    subject = str(head["message"]).split("\n")[0]
    return {
        "title": f"{repository['full_name']} {branch}: {subject}"[:300],
        "started_at": utc(head["timestamp"]),
        "external_id": f"{repository['full_name']}/commits/{content['after']}",
        "url": content["compare"],
        "author": (content.get("pusher") or {}).get("name", ""),
    }
