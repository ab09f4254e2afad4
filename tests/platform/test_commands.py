"""Commands as people type them: what they give, and what they say to a mistake."""

import gzip
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.platform.processes import PROGRAM, python, result, run, stored_ids

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def message(number: int, **more: Any) -> dict[str, Any]:
    moment = (START + timedelta(seconds=number)).isoformat()
    return {"type": "track", "event": "Product Viewed", "messageId": f"m{number}", "anonymousId": f"v{number % 50}", "timestamp": moment} | more


def write(path: Path, messages: list[Any]) -> Path:
    content = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in messages).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the project `shop`, to copy."""
    folder = tmp_path_factory.mktemp("initialised")
    result("init", "--project", "shop", "--funnel", "view_item>purchase", data=folder)
    return folder


@pytest.fixture
def data(initialised: Path, tmp_path: Path) -> Path:
    """A data directory with the project `shop`, of the test's own."""
    return Path(shutil.copytree(initialised, tmp_path / "var"))


def test_init_gives_keys_a_login_and_a_snippet_and_refuses_a_second_project_of_the_name(tmp_path: Path) -> None:
    made = result("init", "--project", "shop", "--timezone", "Asia/Kolkata", "--currency", "INR", data=tmp_path)
    assert set(made) == {"project", "write_key", "api_token", "admin_email", "admin_password", "snippet"}
    assert made["write_key"] in made["snippet"]
    again = run("init", "--project", "shop", data=tmp_path)
    assert again.returncode == 1
    assert again.stderr == "Error: Project with this Name already exists.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["init", "--project", "x", "--timezone", "Mars/Olympus"], "no IANA time zone"),
        (["init", "--project", "x", "--funnel", "purchase"], "at least two steps"),
        (["incidents", "--project", "nope"], "there is no project 'nope' (there are: shop)"),
        (["import", "no.jsonl", "--project", "shop", "--format", "segment"], "there is no file"),
        (["changes", "import", "no.jsonl", "--project", "shop"], "there is no file"),
        (["replay", "--project", "shop", "--from", "yesterday"], "--from takes a time like"),
        (["replay", "--project", "shop"], "has no events yet"),
        (["simulate", "nope", "--out", "x"], "there is no scenario 'nope'; there are: case-study"),
    ],
)
def test_a_mistake_ends_with_one_line_that_says_what_to_do(data: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments, data=data)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_one_missing_server_variable_is_named(tmp_path: Path) -> None:
    done = run("doctor", data=tmp_path, DATABASE_URL="sqlite://", CLICKHOUSE_URL="clickhouse://x")
    assert done.returncode == 1
    assert "CELERY_BROKER_URL missing" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_half_written_file_is_taken_as_far_as_it_goes_and_the_rest_is_in_the_rejects_file(data: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl.gz", [message(number) for number in range(3000)] + ["no json", message(9, event="")])
    file.write_bytes(file.read_bytes()[:-20])
    report = result("import", file, "--project", "shop", "--format", "segment", data=data)
    assert report["imported"] > 2500
    assert report["rejected"]["truncated_file"] == 1
    assert report["read"] == report["imported"] + report["duplicates"] + sum(report["rejected"].values())
    assert report["rejects_file"] == str(tmp_path / "events.jsonl.gz.rejects.jsonl")
    rejects = [json.loads(line) for line in Path(report["rejects_file"]).read_text().splitlines()]
    assert rejects[-1]["reason"] == "truncated_file"
    assert len(stored_ids(data)) == report["imported"]


def test_bad_rows_are_counted_by_reason_and_good_ones_go_in(data: Path, tmp_path: Path) -> None:
    rows = [message(1), message(2), message(2), message(3, event=""), message(4, anonymousId=""), "{half", "[1]"]
    rejects = tmp_path / "bad.jsonl"
    file = write(tmp_path / "events.jsonl", rows)
    report = result("import", file, "--project", "shop", "--format", "segment", "--rejects", rejects, data=data)
    assert (report["read"], report["imported"], report["duplicates"]) == (7, 2, 1)
    assert report["rejected"] == {"missing_event": 1, "missing_identity": 1, "invalid_json": 1, "not_an_object": 1}
    assert (report["first"], report["last"]) == ("2026-03-01T09:00:01+00:00", "2026-03-01T09:00:02+00:00")
    assert [json.loads(line)["reason"] for line in rejects.read_text().splitlines()] == [
        "missing_event", "missing_identity", "invalid_json", "not_an_object",
    ]  # fmt: skip


def test_a_file_in_which_nothing_can_be_read_is_a_mistake(data: Path, tmp_path: Path) -> None:
    done = run("import", write(tmp_path / "f", ["a", "b"]), "--project", "shop", "--format", "segment", data=data)
    assert done.returncode == 1
    assert "nothing in" in done.stderr.splitlines()[-1]
    assert "invalid_json 2" in done.stderr.splitlines()[-1]


def test_a_killed_import_goes_on_where_it_was_and_counts_nothing_twice(data: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl", [*[message(number) for number in range(1000)], "bad", *[message(n) for n in range(1000, 2000)]])
    # Blocks of 300 instead of 50,000; killed after the third has been stored and before it is noted.
    python(
        "import os, signal\n"
        "from funnelwatch.pipeline import intake\n"
        "from funnelwatch.web.jobs import carry, import_file\n"
        "from funnelwatch.web.progress import Progress\n"
        "intake.BLOCK = 300\n"
        "save = import_file.Checkpoint.save\n"
        "def dying(self, counts, *rest):\n"
        "    if counts.read == 900:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    save(self, counts, *rest)\n"
        "import_file.Checkpoint.save = dying\n"
        f"options = dict(file={str(file)!r}, project='shop', format='segment', map=None, rejects=None)\n"
        "carry.carry_out('import', options, Progress(print))\n",
        data,
    )
    assert len(stored_ids(data)) == 900
    done = run("import", file, "--project", "shop", "--format", "segment", "--json", data=data)
    assert "going on after the 600 events" in done.stderr
    report = json.loads(done.stdout)
    assert (report["read"], report["rejected"]) == (2001, {"invalid_json": 1})
    assert report["imported"] + report["duplicates"] == 2000
    ids = stored_ids(data)
    assert sorted(ids) == sorted(f"m{number}" for number in range(2000))
    assert len(Path(report["rejects_file"]).read_text().splitlines()) == 1
    again = result("import", file, "--project", "shop", "--format", "segment", data=data)
    assert (again["imported"], again["duplicates"]) == (0, 2000)


def test_an_unreachable_clickhouse_is_named(tmp_path: Path) -> None:
    server = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "CLICKHOUSE_URL": "clickhouse://127.0.0.1:1/funnelwatch",
        "FUNNELWATCH_SECRET_KEY": "x" * 50,
    }
    result("init", "--project", "shop", data=tmp_path, **server)
    file = write(tmp_path / "events.jsonl", [message(1)])
    done = run("import", file, "--project", "shop", "--format", "segment", data=tmp_path, **server)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: Cannot reach ClickHouse at 127.0.0.1:1")
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json", data=tmp_path, **server).stdout)["checks"]}
    assert not checks["engine"]["ok"]
    assert not checks["broker"]["ok"]
    assert checks["database"]["ok"]


def test_a_file_of_regions_that_is_not_there_is_named_by_up_doctor_and_import(data: Path, tmp_path: Path) -> None:
    missing = {"FUNNELWATCH_GEO_MMDB": str(tmp_path / "no.mmdb")}
    says = f"FUNNELWATCH_GEO_MMDB names {tmp_path}/no.mmdb, which cannot be used: No such file or directory."
    file = write(tmp_path / "events.jsonl", [message(1, context={"ip": "49.36.1.1"})])
    for command in (["up", "--port", "0"], ["import", file, "--project", "shop", "--format", "segment"]):
        done = run(*command, data=data, **missing)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {says}")
    doctor = json.loads(run("doctor", "--json", data=data, **missing).stdout)
    assert [check["detail"][: len(says)] for check in doctor["checks"] if not check["ok"]] == [says]


def test_a_database_of_a_newer_version_is_refused(data: Path) -> None:
    python(
        "from django.db import connection\nfrom django.db.migrations.recorder import MigrationRecorder\n"
        "MigrationRecorder(connection).record_applied('incidents', '9999_from_the_future')",
        data,
    )
    done = run("up", "--port", "0", data=data)
    assert done.returncode == 1
    assert "was written by a newer FunnelWatch (it has incidents.9999_from_the_future)" in done.stderr


def test_changes_are_updated_and_never_doubled(data: Path, tmp_path: Path) -> None:
    deploy = {"kind": "deploy", "title": "web 1", "started_at": "2026-03-01T09:00:00Z", "source": "ci", "external_id": "a1"}
    file = write(tmp_path / "changes.jsonl", [deploy, deploy | {"external_id": "a2"}, deploy | {"kind": "magic"}])
    first = result("changes", "import", file, "--project", "shop", data=data)
    assert (first["read"], first["imported"], first["updated"], first["rejected"]) == (3, 2, 0, 1)
    second = result("changes", "import", file, "--project", "shop", data=data)
    assert (second["imported"], second["updated"]) == (0, 2)


def test_help_lists_the_commands_and_no_command_is_a_mistake() -> None:
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "replay" in shown.stdout
    assert subprocess.run([PROGRAM], capture_output=True).returncode == 1


def test_manage_py_runs_the_same_commands(tmp_path: Path) -> None:
    manage = Path(__file__).parents[2] / "manage.py"
    done = subprocess.run([sys.executable, manage, "simulate", "--list"], capture_output=True, text=True)
    assert "case-study" in done.stderr
