"""Drives the Python clients: the cases are a JSON list in the file named; what each client gave up on, as JSON on standard output."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

CLIENTS = {"segment-analytics-python": SegmentClient, "rudder-sdk-python": RudderClient}


def run(case: dict[str, Any]) -> list[str]:
    given_up: list[str] = []

    def on_error(error: Exception, batch: list[dict[str, Any]]) -> None:
        given_up.extend(message.get("event") or message["type"] for message in batch)

    client = CLIENTS[case["client"]](
        case["key"], host=case["url"], timeout=case["timeout"], on_error=on_error, upload_size=4, upload_interval=0.2
    )
    for call in case["calls"]:
        if call["type"] == "track":
            client.track("customer-1", call["event"], call["properties"])
        else:
            getattr(client, call["type"])("customer-1")
    client.flush()
    client.join()
    return given_up


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text())
    with ThreadPoolExecutor(len(cases)) as pool:
        results = dict(zip([case["name"] for case in cases], pool.map(run, cases), strict=True))
    json.dump(results, sys.stdout)
