"""`make demo` from an empty directory: a shop, an incident with its cause, and the same shop when it is run again."""

import json
import signal
from datetime import datetime, timedelta
from pathlib import Path

from tests.platform.processes import result, up

#: Two minutes on an idle machine; the other half of the tests runs beside it.
READY_SECONDS = 240


def test_the_demo_shows_an_incident_found_in_minutes_and_goes_on_with_it_when_run_again(tmp_path: Path) -> None:
    with up(tmp_path, "demo", READY_SECONDS) as demo:
        (incident,) = result("incidents", "--project", "noor-and-loom", data=tmp_path)["incidents"]
        assert demo.stop(signal.SIGINT) < 20
    assert incident["causes"][0]["external_id"] == "cdn-4f2c"
    assert incident["title"].endswith("for Safari · ig_sale")
    found, began = (datetime.fromisoformat(incident[at]) for at in ("detected_at", "started_at"))
    assert found - began <= timedelta(minutes=10)
    login = json.loads((tmp_path / "demo.json").read_text())["password"]

    with up(tmp_path, "demo", READY_SECONDS) as demo:
        (again,) = result("incidents", "--project", "noor-and-loom", data=tmp_path)["incidents"]
        assert demo.stop(signal.SIGINT) < 20
    assert again["id"] == incident["id"]
    assert login in demo.log.read_text()
