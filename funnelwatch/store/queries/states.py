"""What detectors remember between ticks."""

import base64

from funnelwatch.store.client import Client, Params

_OF = (
    "FROM detector_states "
    "WHERE project_id = {project:UInt32} AND run_id = {run:String} AND name = {name:String} AND version = {version:UInt32}"
)


def save(client: Client, project_id: int, run_id: str, name: str, version: int, at: int, state: bytes) -> None:
    """Keep a detector's state as of `at` (epoch ms)."""
    client.insert(
        "detector_states",
        {
            "project_id": [project_id], "run_id": [run_id], "name": [name], "version": [version], "at": [at],
            "state": [base64.b85encode(state).decode()],
        },
    )  # fmt: skip


def newest(client: Client, project_id: int, run_id: str, name: str, version: int) -> int | None:
    """When (epoch ms) the newest state was kept, without reading it: some are megabytes and are asked for every tick."""
    at = client.query(f"SELECT toUnixTimestamp64Milli(max(at)) {_OF}", _params(project_id, run_id, name, version)).scalar()
    return int(at) or None


def load(client: Client, project_id: int, run_id: str, name: str, version: int) -> tuple[int, bytes] | None:
    """The newest state as (epoch ms, bytes); None when there is none."""
    sql = f"SELECT toUnixTimestamp64Milli(at), state {_OF} AND at = (SELECT max(at) {_OF}) LIMIT 1"
    rows = client.query(sql, _params(project_id, run_id, name, version))
    for at, state in rows:
        return at, base64.b85decode(state)
    return None


def _params(project_id: int, run_id: str, name: str, version: int) -> Params:
    return {"project": project_id, "run": run_id, "name": name, "version": version}


def forget(client: Client, project_id: int, run_id: str) -> None:
    """Drop every state of a run, before it is made again."""
    client.command(
        "DELETE FROM detector_states WHERE project_id = {project:UInt32} AND run_id = {run:String}",
        {"project": project_id, "run": run_id},
    )
