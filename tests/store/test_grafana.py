"""What Grafana and Superset are given: every panel's SQL runs and tells the truth, the reading user can read and nothing else."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef, parse_steps
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client, Rows, StoreError, StoreUnavailable
from funnelwatch.store.queries import events
from funnelwatch.store.server import NativeClient
from tests.store.test_debian_server import Server

GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboard.json").read_text())
PANELS = {panel["title"]: panel["targets"][0]["rawSql"] for panel in DASHBOARD["panels"]}
VARIABLES = {variable["name"]: variable["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"}
PROJECT = 960
#: An hour of a shop: 20 look, 10 add, 5 buy in the same minute; a third of those who look fail to pay.
FROM = 1_793_203_200
MINUTE = FROM // 60


@pytest.fixture(scope="module", autouse=True)
def shop(store: Client) -> None:
    made = []
    for number in range(20):
        names = ("view_item", "add_to_cart", "purchase")[: 1 + (number % 2 == 0) + (number % 4 == 0)] + ("payment_failed",) * (number % 3 == 0)
        for at, name in enumerate(names):
            ts = (FROM + number * 120 + at * 10) * 1000
            made.append(Event(
                project_id=PROJECT, message_id=f"{number}-{name}", name=name, ts=ts, received_at=ts, visitor_id=f"v{number}", session_id="s",
                device="mobile" if number % 4 else "desktop", error_code="declined" if name == "payment_failed" else "", currency="EUR",
                duration_ms=200.0 if name == "purchase" else None, order_id=str(number) if name == "purchase" else "",
                value=10 if name == "purchase" else None,
            ))  # fmt: skip
    events.insert(store, made, "grafana")
    funnel = FunnelDef(7, PROJECT, "storefront", 1, parse_steps("view_item>add_to_cart>purchase"))
    for _ in range(2):  # a minute rolled up again must not count twice
        roll_up(store, funnel, "", MINUTE, MINUTE + 60)


def ask(client: Client, sql: str, cohort: str = "device") -> Rows:
    """The SQL as the data source's plugin would send it: macros and variables written out."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= toDateTime({FROM}) AND \1 <= toDateTime({FROM + 3_600})", sql)
    sql = re.sub(r"\$__timeInterval\(([^()]+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql)
    for name, value in {"project": str(PROJECT), "funnel": "7", "version": "1", "cohort": cohort}.items():
        sql = sql.replace(f"${name}", value)
    assert "$" not in sql
    return client.query(sql)


@pytest.mark.parametrize("title", PANELS)
def test_every_panel_runs_and_shows_something(engine: Client, title: str) -> None:
    found = ask(engine, PANELS[title])
    assert len(found) > 0
    if next(p for p in DASHBOARD["panels"] if p["title"] == title)["type"] == "timeseries":
        assert found.names[0] == "time"


def test_the_panels_numbers_are_the_shops(store: Client) -> None:
    told: dict[str, Any] = {title: list(ask(store, sql)) for title, sql in PANELS.items()}
    assert {row[1]: row[2] for row in told["Sessions by step"]} == {"1": 20, "2": 10, "3": 5}
    assert [(steps, rate) for _, steps, rate in told["Conversion to each step"]] == [("1 to 2", 0.5), ("2 to 3", 0.5)]
    assert told["Funnel"] == [(1, 20, 1.0), (2, 10, 0.5), (3, 5, 0.25)]
    assert told["By cohort"] == [("mobile", 15, 0, 0.0), ("desktop", 5, 5, 1.0)]
    assert told["Orders"][0][1] == 5
    assert told["Revenue by currency"][0][1:] == ("EUR", 50.0)
    assert told["Failed payments by code"] == [("declined", 7, 7)]
    assert [(line, round(ms, -1)) for _, line, ms in told["Latency by step"]] == [("step 3 p50", 200), ("step 3 p95", 200)]
    assert told["Events by channel"][0][1:] == ("browser", 42)


def test_the_variables_offer_what_there_is(engine: Client) -> None:
    offered = {name: [row[0] for row in ask(engine, sql.replace("now() - INTERVAL 7 DAY", "toDateTime(0)"))] for name, sql in VARIABLES.items()}
    assert PROJECT in offered["project"]
    assert (offered["funnel"], offered["version"]) == ([7], [1])
    assert offered["cohort"][0] == "device"
    assert "os,browser" not in offered["cohort"]


def test_a_combined_cohort_is_shown_as_words(store: Client) -> None:
    assert "\x1f" not in str(list(ask(store, PANELS["By cohort"], "device,country")))


def test_todays_engine_parses_every_statement_that_makes_the_reader(store: Client) -> None:
    text = "\n".join(line for line in (GRAFANA / "reader.sql").read_text().splitlines() if not line.startswith("--"))
    statements = [part.strip() for part in text.split(";") if part.strip()]
    told = [store.query("SELECT formatQuery({sql:String})", {"sql": statement}).scalar() for statement in statements]
    assert "readonly = 2" in told[0]
    granted = {re.match(r"GRANT SELECT ON funnelwatch.(\w+) TO funnelwatch_reader$", each)[1] for each in told[1:]}
    read = set(re.findall(r"FROM (\w+)", " ".join([*PANELS.values(), *VARIABLES.values()])))
    behind = {"funnel_minute", "event_minute"}  # the views run with the reader's own rights
    assert granted == read | behind


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's server of 2018, which knows users only as files."""
    if shutil.which("clickhouse-server") is None and "CI" not in os.environ:
        pytest.skip("Debian's clickhouse-server is not installed")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "users.d").mkdir()
    hashed = hashlib.sha256(b"a long random one").hexdigest()
    (folder / "users.d/reader.xml").write_text((GRAFANA / "reader.xml").read_text().replace("replace this", hashed))
    made = Server(folder)
    admin = NativeClient(f"clickhouse://default@127.0.0.1:{made.port}/default")
    for database in ("funnelwatch", "other"):
        admin.command(f"CREATE DATABASE {database}")
        admin.command(f"CREATE TABLE {database}.counts (id UInt32) ENGINE = MergeTree ORDER BY id")
        admin.insert(f"{database}.counts", {"id": [1, 2]})
    admin.close()
    yield made
    made.kill()


def reader(server: Server, password: str = "a%20long%20random%20one") -> NativeClient:
    return NativeClient(f"clickhouse://funnelwatch_reader:{password}@127.0.0.1:{server.port}/funnelwatch?connect_timeout=2&send_receive_timeout=5")


def test_the_reader_selects_on_a_real_server(server: Server) -> None:
    assert reader(server).query("SELECT count() FROM counts SETTINGS max_threads = 1").scalar() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO counts SELECT 3", "DROP TABLE counts", "CREATE TABLE more (id UInt32) ENGINE = Memory", "RENAME TABLE counts TO gone",
        "ALTER TABLE counts DROP PARTITION '197001'", "CREATE DATABASE mine", "DROP DATABASE funnelwatch", "SET readonly = 0", "SELECT * FROM other.counts",
    ],
)  # fmt: skip
def test_the_reader_can_do_nothing_else_on_a_real_server(server: Server, statement: str) -> None:
    with pytest.raises(StoreError) as refused:
        reader(server).command(statement)
    assert refused.value.code in (164, 291)  # READONLY, DATABASE_ACCESS_DENIED
    assert reader(server).query("SELECT count() FROM counts").scalar() == 2


def test_a_wrong_password_does_not_read(server: Server) -> None:
    with pytest.raises((StoreError, StoreUnavailable)):
        reader(server, "wrong").query("SELECT 1")
