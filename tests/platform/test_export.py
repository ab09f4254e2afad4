"""Export: what is in the files is what is stored; run again, only changed days are written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.projects.models import Funnel, Organisation, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events
from funnelwatch.web.errors import Error

DAY_MS = 86_400_000
FIRST = int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture
def unrolled(db: None, project_id: int) -> Project:
    """Three days of visits, ten a day, half of them with a purchase."""
    made = Project.objects.create(pk=project_id, organisation=Organisation.objects.create(name="x"), name=f"shop{project_id}")
    Funnel.objects.create(project=made, steps=[{"name": name, "events": [name], "filters": []} for name in ("view_item", "purchase")])
    events.insert(pipeline.runtime().client, whole(made), f"first-{project_id}")
    return made


@pytest.fixture
def shop(unrolled: Project) -> Project:
    """The same, rolled up."""
    roll(unrolled, 0, 3)
    return unrolled


def whole(shop: Project) -> list[Event]:
    return [event for day in range(3) for number in range(10) for event in visit(shop, day, number)]


def visit(shop: Project, day: int, number: int) -> list[Event]:
    start = FIRST + day * DAY_MS + number * 3_600_000
    return [
        Event(project_id=shop.pk, message_id=f"{day}-{number}-{name}", name=name, ts=start + at * 60_000, received_at=start + at * 60_000,
              visitor_id=f"v{number}", session_id=f"{day}", device="mobile", duration_ms=100.0 if name == "purchase" else None)
        for at, name in enumerate(("view_item", "purchase") if number % 2 else ("view_item",))
    ]  # fmt: skip


def roll(shop: Project, first: int, end: int) -> None:
    funnel = Funnel.objects.get(project=shop).definition()
    roll_up(pipeline.runtime().client, funnel, "", FIRST // 60_000 + first * 1_440, FIRST // 60_000 + end * 1_440)


def export(shop: Project, folder: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    call_command("export", str(folder), project=shop.name, json=True, **options)
    return json.loads(capsys.readouterr().out)


def written(result: dict[str, Any]) -> dict[str, int]:
    return {table: counts["written"] for table, counts in result["tables"].items()}


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table with the date of their folder, as any reader of partitioned Parquet sees them."""
    return pq.read_table(folder / table).to_pylist()


def test_every_event_and_every_count_is_in_the_file_of_its_day(shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = export(shop, tmp_path, capsys)
    assert (result["first"], result["last"]) == ("2026-11-19", "2026-11-21")
    assert written(result) == {"events": 3, "funnel_minute": 3, "event_minute": 3}
    stored = rows(tmp_path, "events")
    assert {row["message_id"] for row in stored} == {e.message_id for e in whole(shop)}
    assert all(str(row["date"]) == row["ts"].date().isoformat() for row in stored)
    entered = {(step, str(day)): 0 for step in (1, 2) for day in (19, 20, 21)}
    for row in rows(tmp_path, "funnel_minute"):
        if row["dims"] == "device" and row["value"] == "mobile":
            entered[row["step"], str(row["at"].day)] += row["entered"]
    assert entered == {(step, str(day)): count for step, count in ((1, 10), (2, 5)) for day in (19, 20, 21)}
    latency = [row["latency_p50_ms"] for row in rows(tmp_path, "event_minute") if row["dims"] == ""]
    assert latency == pytest.approx([100.0] * 15, rel=0.02)
    (funnel,) = json.loads((tmp_path / "funnels.json").read_text())
    assert [step["name"] for step in funnel["steps"]] == ["view_item", "purchase"]


def test_a_second_export_writes_only_the_days_that_changed(shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(shop, tmp_path, capsys)
    assert written(export(shop, tmp_path, capsys)) == {"events": 0, "funnel_minute": 0, "event_minute": 0}
    untouched = tmp_path / "events/date=2026-11-19/part-0.parquet"
    before = untouched.stat().st_mtime_ns
    events.insert(pipeline.runtime().client, visit(shop, 1, 11), f"late-{shop.pk}")
    roll(shop, 1, 2)
    assert written(export(shop, tmp_path, capsys)) == {"events": 1, "funnel_minute": 1, "event_minute": 1}
    assert len(rows(tmp_path, "events")) == 47
    assert untouched.stat().st_mtime_ns == before
    assert sorted(path.name for path in untouched.parent.iterdir()) == ["part-0.parquet"]


def test_an_erased_day_leaves_the_export_too(shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(shop, tmp_path, capsys)
    call_command("erase", project=shop.name, json=True, **{"from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z"})
    capsys.readouterr()
    result = export(shop, tmp_path, capsys)
    assert result["tables"]["events"]["removed"] == 1
    assert {row["date"] for row in rows(tmp_path, "events")} == {"2026-11-19", "2026-11-20"}


def test_days_that_lost_a_part_to_an_erasure_are_as_in_the_store_in_every_table(shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(shop, tmp_path, capsys)
    call_command("erase", project=shop.name, json=True, **{"from": "2026-11-19T05:00:00Z", "to": "2026-11-21T05:00:00Z"})
    capsys.readouterr()
    result = export(shop, tmp_path, capsys)
    assert {table: counts["removed"] for table, counts in result["tables"].items()} == {"events": 1, "funnel_minute": 1, "event_minute": 1}
    kept = {(19, hour) for hour in range(5)} | {(21, hour) for hour in range(5, 10)}
    assert sorted((row["ts"].day, row["ts"].hour) for row in rows(tmp_path, "events") if row["name"] == "view_item") == sorted(kept)
    arrivals = [row for row in rows(tmp_path, "funnel_minute") if row["dims"] == ""]
    assert {(row["at"].day, row["at"].hour) for row in arrivals} == kept
    assert sum(row["entered"] for row in arrivals) == 15
    bought = [row for row in rows(tmp_path, "event_minute") if row["dims"] == ""]
    assert sorted((row["at"].day, row["at"].hour) for row in bought) == [(19, 1), (19, 3), (21, 5), (21, 7), (21, 9)]


def test_a_dry_run_says_which_days_would_be_written_and_removed_and_touches_nothing(shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = export(shop, tmp_path / "new", capsys, dry_run=True)
    assert written(planned) == {"events": 3, "funnel_minute": 3, "event_minute": 3}
    assert not (tmp_path / "new").exists()
    export(shop, tmp_path, capsys)
    call_command("erase", project=shop.name, json=True, **{"from": "2026-11-20T05:00:00Z", "to": "2026-11-22T00:00:00Z"})
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    planned = export(shop, tmp_path, capsys, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    done = export(shop, tmp_path, capsys)
    changes = {table: (counts["written"], counts["removed"]) for table, counts in planned["tables"].items()}
    assert changes == {table: (counts["written"], counts["removed"]) for table, counts in done["tables"].items()}
    assert changes["events"] == (1, 1)
    assert (planned["dry_run"], done["dry_run"]) == (True, False)


def test_only_the_days_asked_for_are_written(unrolled: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = export(unrolled, tmp_path, capsys, **{"from": "2026-11-20T10:00:00Z", "to": "2026-11-20T11:00:00Z"})
    assert (result["first"], result["last"]) == ("2026-11-20", "2026-11-20")
    assert len(rows(tmp_path, "events")) == 15


def test_a_large_day_is_written_in_several_files(unrolled: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funnelwatch.web.jobs.export.MOST_ROWS", 5)
    export(unrolled, tmp_path, capsys)
    assert len(list((tmp_path / "events/date=2026-11-19").iterdir())) == 3
    assert len({row["message_id"] for row in rows(tmp_path, "events")}) == len(rows(tmp_path, "events")) == 45


def test_mistakes_end_with_what_to_do(unrolled: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(unrolled, tmp_path, capsys)
    other = Project.objects.create(organisation=unrolled.organisation, name=f"other{unrolled.pk}")
    with pytest.raises(Error, match=f"holds an export of {unrolled.name}; choose another folder"):
        call_command("export", str(tmp_path), project=other.name)
    with pytest.raises(Error, match="has no events there: send or import some"):
        call_command("export", str(tmp_path / "new"), project=other.name)
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="cannot write to"):
        call_command("export", str(tmp_path / "file"), project=unrolled.name)
