"""The last hour of ingest for the live view: what came in, what each step did to it, why it was dropped."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from funnelwatch.store.client import Client


def insert(client: Client, rows: Sequence[Mapping[str, Any]], token: str = "") -> None:
    """Write samples: `project_id, at (epoch ms), message_id, name, outcome ("accepted" or a drop reason), notes, scrubbed`.

    `notes` (list of step notes) and `scrubbed` (the event without personal data) are stored as JSON.
    """
    if not rows:
        return
    plain = ("project_id", "at", "message_id", "name", "outcome")
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in plain}
    for name in ("notes", "scrubbed"):
        columns[name] = [json.dumps(row[name], separators=(",", ":"), default=str) for row in rows]
    client.insert("ingest_recent", columns, token)


def latest(client: Client, project_id: int, limit: int = 100, after: int = 0) -> list[dict[str, Any]]:
    """The newest samples that came in after `after` (epoch ms), newest first, with `notes` and `scrubbed` decoded."""
    rows = client.query(
        """
        SELECT toUnixTimestamp64Milli(at) AS at, message_id, name, outcome, notes, scrubbed
        FROM ingest_recent
        WHERE project_id = {project:UInt32} AND ingest_recent.at > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
        ORDER BY ingest_recent.at DESC, message_id LIMIT {limit:UInt32}
        """,
        {"project": project_id, "after": after, "limit": limit},
    )
    return [{**row, "notes": json.loads(row["notes"]), "scrubbed": json.loads(row["scrubbed"])} for row in rows.dicts()]
