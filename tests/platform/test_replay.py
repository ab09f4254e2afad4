"""The commands of the README from a simulated shop to a named cause, without a server."""

from datetime import datetime, timedelta
from pathlib import Path

from tests.platform.processes import result

#: A small shop: three visitors a minute when its release breaks the checkout, after a week.
SESSIONS_PER_DAY = 1_500
DAYS = 7
#: The incident resolves in the 172nd minute of the watch.
WATCHED = timedelta(minutes=180)


def test_a_replay_finds_the_release_that_broke_the_checkout_and_says_so_twice_alike(tmp_path: Path) -> None:
    shop, data = tmp_path / "shop", tmp_path / "var"
    made = result("simulate", "checkout-outage", "--sessions-per-day", SESSIONS_PER_DAY, "--days", DAYS, "--out", shop, data=data)
    result("init", "--project", "p", "--timezone", "Asia/Kolkata", "--currency", "INR", data=data)
    report = result("import", shop / "events.jsonl.gz", "--project", "p", "--format", "segment", data=data)
    assert report["imported"] + report["duplicates"] == made["events"]
    result("changes", "import", shop / "changes.jsonl", "--project", "p", data=data)

    history_until = datetime.fromisoformat(made["history_until"])
    until = (history_until + WATCHED).isoformat()
    (incident,) = result("replay", "--project", "p", "--to", until, data=data, FUNNELWATCH_HISTORY_DAYS=str(DAYS))["incidents"]
    assert incident["causes"][0]["external_id"] == "deploy-9d03f7b", incident["causes"]
    onset = history_until + timedelta(minutes=40)
    assert abs(datetime.fromisoformat(incident["started_at"]) - onset) <= timedelta(minutes=5)
    assert datetime.fromisoformat(incident["detected_at"]) - onset <= timedelta(minutes=20)
    assert incident["resolved_at"] is not None
    assert incident["impact"]["lost_orders"] > 0
    assert {"prophet_band", "changepoint"} & {detector["name"] for detector in incident["detectors"]}

    (again,) = result("replay", "--project", "p", "--to", until, data=data, FUNNELWATCH_HISTORY_DAYS=str(DAYS))["incidents"]
    for changing in ("id", "url"):
        incident.pop(changing), again.pop(changing)
    assert again == incident
    (listed,) = result("incidents", "--project", "p", data=data)["incidents"]
    assert listed["title"] == incident["title"]
