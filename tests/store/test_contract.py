"""Every function of `store/queries` on both engines: the same question has the same answer."""

import importlib
import inspect
import pkgutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, is_dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from funnelwatch.core import retention
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.events import Event, Item
from funnelwatch.core.funnel import FunnelDef, default_steps
from funnelwatch.rollup import DEFAULT_SETS, preview, roll_up
from funnelwatch.store import queries
from funnelwatch.store.client import Client, StoreError
from funnelwatch.store.embedded import ChdbClient
from funnelwatch.store.queries import (
    ages,
    arrival,
    comparison,
    coverage,
    cuts,
    dirty,
    drained,
    engine,
    erase,
    events,
    evidence,
    export,
    funnels,
    health,
    journey,
    latency,
    names,
    outcomes,
    pulse,
    recent,
    rollup_writes,
    rollups,
    sessions,
    states,
    sweep,
)
from funnelwatch.store.queries.evidence import Period
from funnelwatch.store.queries.span import Span
from funnelwatch.store.scope import Scope

PROJECT = 77
START = 1_793_000_400_000
MINUTE = START // 60_000
FUNNEL = FunnelDef(3, PROJECT, "storefront", 1, default_steps())
SPAN = Span(FUNNEL, MINUTE, MINUTE + 120, MINUTE + 400)
RUNNING = Span(FUNNEL, MINUTE + 110, MINUTE + 3_000, MINUTE + 3_000)
LATER = Span(FUNNEL, MINUTE + 60, MINUTE + 120, MINUTE + 400)
PERIOD = Period(FUNNEL, "", "begin_checkout", "add_shipping_info", MINUTE, MINUTE + 60, MINUTE + 119)
PHONES = Cohort.of({"device": "mobile"})


def a_shop() -> list[Event]:
    """Two hours, a session a minute; every third leaves after each step, phones from the second hour on after checkout."""
    made = []
    for number in range(120):
        deep = 7 - number % 4 if number < 60 or number % 2 else 4
        for step, each in enumerate(FUNNEL.steps[:deep]):
            ts = START + number * 60_000 + step * 20_000
            made.append(Event(
                project_id=PROJECT, message_id=f"{number}-{step}", name=each.name, ts=ts, received_at=ts + 500 * (number % 3),
                visitor_id=f"visitor{number // 2}", session_id=f"s{number}", device="desktop" if number % 2 else "mobile",
                os="iOS", browser="Safari" if number % 3 else "Chrome", country="DE", page_path="/", currency="EUR",
                order_id=f"order{number}" if each.name == "purchase" else "", value=Decimal("19.90") if each.name == "purchase" else None,
                items=(Item(sku=f"sku{number % 3}", category="hats", price=Decimal("9.95")),), duration_ms=float(number),
            ))  # fmt: skip
        made.append(Event(project_id=PROJECT, message_id=f"{number}-e", name="payment_failed", ts=START + number * 60_000 + 70_000,
                          received_at=START + number * 60_000 + 70_000, visitor_id=f"visitor{number // 2}", session_id=f"s{number}",
                          device="desktop" if number % 2 else "mobile", error_code="declined"))  # fmt: skip
        if number % 5 == 0:
            made.append(Event(project_id=PROJECT, message_id=f"{number}-o", name="purchase", ts=START + number * 60_000 + 130_000,
                              received_at=START + number * 60_000 + 131_000, channel="server", order_id=f"order{number}",
                              value=Decimal("19.90"), currency="EUR"))  # fmt: skip
    return made


@pytest.fixture(scope="module", autouse=True)
def shop(store: ChdbClient) -> None:
    events.insert(store, a_shop(), "contract")
    roll_up(store, FUNNEL, "", MINUTE, MINUTE + 180)


def write_and_read_recent(client: Client) -> Any:
    row = {"project_id": PROJECT, "at": START, "message_id": "m", "name": "page_view", "outcome": "accepted", "notes": ["geo: DE"], "scrubbed": {"a": 1}}
    recent.insert(client, [row], "recent")
    return [found for found in recent.latest(client, PROJECT, 10, 0) if found["at"] == START][:1]


def write_and_read_states(client: Client) -> Any:
    states.save(client, PROJECT, "run", "glr", 2, START, b"\0\xff state")
    states.save(client, PROJECT, "run", "glr", 2, START + 1, b"newer")
    found = states.newest(client, PROJECT, "run", "glr", 2), states.load(client, PROJECT, "run", "glr", 2)
    assert found == (START + 1, (START + 1, b"newer"))
    states.forget(client, PROJECT, "run")
    return found, states.newest(client, PROJECT, "run", "glr", 2), states.load(client, PROJECT, "run", "glr", 2)


def insert_and_read_lines(client: Client) -> Any:
    """The same row by lines as by columns, whichever engine reads them; a line that does not fit stores nothing."""
    project = PROJECT + 1 + (type(client).__name__ == "NativeClient")
    lines = [line_of(structs.replace(event, project_id=project)) for event in a_shop()]
    events.insert_lines(client, lines, f"lines-{project}", {project: 90})
    old = line_of(structs.replace(a_shop()[0], project_id=project, message_id="old", ts=START - 3_000 * 86_400_000))
    wrong = old._replace(text=old.text.replace(b"0.0", b'"x"'))
    with pytest.raises(StoreError) as refused:
        events.insert_lines(client, [lines[0], wrong], f"wrong-{project}")
    assert refused.value.code in (27, 72)
    events.insert_lines(client, [old, lines[0]], f"mixed-{project}", {project: 90})
    assert not events.is_empty(client, project, START, START, events.store_clock(client) + 1)
    assert events.is_empty(client, project, START, START, 1)
    names = ", ".join(events.LINE_FIELDS[1:])
    rows = list(client.query(f"SELECT {names}, retention_days FROM events FINAL WHERE project_id = {project} ORDER BY ts, message_id"))
    want = list(client.query(f"SELECT {names} FROM events FINAL WHERE project_id = {PROJECT} ORDER BY ts, message_id"))
    assert [row[:-1] for row in rows[1:]] == want
    assert [row[-1] for row in rows] == [retention.IMPORTED, *[90] * len(want)]
    return rows


def line_of(event: Event) -> events.Line:
    values = structs.asdict(event) | {f"item_{name}": [getattr(item, name) for item in event.items] for name in Item.__struct_fields__}
    text = msgspec.json.encode([values[name] for name in events.LINE_FIELDS]) + b"\n"
    return events.Line(text, event.project_id, event.message_id, event.ts)


def hear_two_nodes(client: Client) -> Any:
    for node, at in (("one", START), ("two", START - 60_000), ("one", START + 60_000), ("gone", START - 2 * drained.GONE_AFTER_MS)):
        drained.save(client, node, at)
    found = drained.until(client, START + 60_000)
    assert found == START - 60_000
    assert {"one", "two"} <= set(drained.nodes(client, START + 60_000)) <= set(drained.nodes(client, START)) - {"gone"}
    assert drained.until(client, 2 * START) is None
    return found


def write_rollups(client: Client) -> Any:
    run_id = f"contract-{type(client).__name__}"
    scope = Scope(FUNNEL, run_id, MINUTE, MINUTE + 10)
    journey.insert(client, scope, 5)
    rollup_writes.insert_arrivals(client, scope, 5, DEFAULT_SETS)
    rollup_writes.insert_events(client, scope, 5, DEFAULT_SETS)
    rollup_writes.insert_endpoints(client, scope, 5)
    rollup_writes.commit(client, scope, 5)
    found = rollups.window(client, FUNNEL, run_id, MINUTE + 9, 10)
    return {key.cohort.label() for key in found.keys}, float(found.hits.sum())


def choose_and_read(client: Client) -> Any:
    run_id = f"cuts-{type(client).__name__}"
    roll_up(client, FUNNEL, run_id, MINUTE, MINUTE + 180)
    midnight = (MINUTE // cuts.DAY + 1) * cuts.DAY
    day = Scope(FUNNEL, run_id, midnight - cuts.DAY, midnight)
    sampled = {name: sorted(values.tolist()) for name, values in cuts.sample(client, day, ("os", "campaign"), 50).items()}
    cuts.choose(client, day, [*DEFAULT_SETS, ("os", "region")], {("os", "region"): 0.7}, 2, 0.01)
    rows = client.query(
        "SELECT dims, value, sessions FROM cohort_values WHERE project_id = {p:UInt32} AND run_id = {r:String} AND from_minute = {m:UInt32} ORDER BY ALL",
        {"p": PROJECT, "r": run_id, "m": midnight},
    )
    return list(rows), cuts.chosen(client, Scope(FUNNEL, run_id, midnight, midnight + 1)), cuts.chosen(client, Scope(FUNNEL, "", midnight, midnight + 1)), cuts.of_day(client, PROJECT, MINUTE), cuts.pooled_days(client, day, ("sku",)), sampled


def write_and_read_parquet(client: Client) -> Any:
    """Schema and rows of every table's file: both engines write the same."""
    told = []
    for table in export.TABLES:
        days = [day[:2] for day in export.days(client, PROJECT, table, START, START + 9_000_000)]
        with tempfile.TemporaryDirectory() as folder:
            export.write(client, Path(folder, "a.parquet"), PROJECT, table, START, START + 9_000_000)
            read = pq.ParquetFile(Path(folder, "a.parquet")).read()
        told.append((table, days, str(read.schema), read.num_rows > 100, read.to_pylist()))
    return told


def write_twice_and_sweep(client: Client) -> Any:
    run_id = f"sweep-{type(client).__name__}"
    for _ in range(2):
        roll_up(client, FUNNEL, run_id, MINUTE, MINUTE + 10)
    swept = sweep.prune(client, PROJECT, older_than_s=0)
    left = float(rollups.window(client, FUNNEL, run_id, MINUTE + 9, 10).hits.sum())
    held = sweep.rows_of_run(client, PROJECT, run_id)
    sweep.forget_run(client, PROJECT, run_id)
    assert sum(sweep.rows_of_run(client, PROJECT, run_id).values()) == 0
    return swept, left, held, rollups.window(client, FUNNEL, run_id, MINUTE + 9, 10).keys


#: Question -> (the functions it calls, how to ask). Answers that are clocks are reduced to their shape.
QUESTIONS: dict[str, tuple[tuple[Callable[..., Any], ...], Callable[[Client], Any]]] = {
    "shares": ((arrival.shares, arrival.arrived, arrival.curve, arrival.learn), lambda c: (arrival.shares(c, RUNNING, arrival.arrived(c, RUNNING, by_source=True)), arrival.curve(c, FUNNEL, "", MINUTE + 3_000, 2))),
    "coverage": ((coverage.meter,), lambda c: coverage.meter(c, PROJECT, START, START + 7_200_000)),
    "cuts": ((cuts.choose, cuts.chosen, cuts.of_day, cuts.pooled_days, cuts.sample), choose_and_read),
    "dirty": ((dirty.minutes,), lambda c: [dirty.minutes(c, PROJECT, dirty.Mark(), across).minutes for across in (False, True)]),
    "about": ((engine.about,), lambda c: engine.about(c)[0]),
    "erase": ((erase.person, erase.time_range), lambda c: (erase.person(c, PROJECT, ["visitor3"], dry_run=True), erase.time_range(c, PROJECT, START, START + 90_000, 300, dry_run=True))),
    "existing": ((events.existing_ids, events.insert, events.insert_columns, events.columns_of), lambda c: (events.insert(c, a_shop(), "contract"), events.existing_ids(c, PROJECT, ["0-0", "x", "119-e"], START, START + 9_000_000))),
    "lines": ((events.insert_lines, events.is_empty, events.store_clock), insert_and_read_lines),
    "leaves": ((evidence.leaves, evidence.where), lambda c: evidence.leaves(c, PERIOD)),
    "leaves by sku": ((evidence.leaves,), lambda c: evidence.leaves(c, Period(FUNNEL, "", "page_view", "view_item", MINUTE, MINUTE + 60, MINUTE + 119, "sku"))),
    "signatures": ((evidence.signatures,), lambda c: evidence.signatures(c, PERIOD, PHONES)),
    "worth": ((evidence.worth,), lambda c: evidence.worth(c, PERIOD, PHONES, "EUR")),
    "features": ((evidence.features,), lambda c: {name: np.nansum(values) for name, values in evidence.features(c, PERIOD, PHONES).columns.items()}),
    "report": ((funnels.report,), lambda c: funnels.report(c, SPAN, ("device",))),
    "report by two, not rolled up": ((funnels.report,), lambda c: sorted(map(str, funnels.report(c, SPAN, ("device", "browser"))["groups"]))),
    "compare": ((comparison.compared, comparison.frame, funnels.compare, funnels.counts, ages.comparable), lambda c: comparison.compared(c, SPAN, SPAN, now=PHONES)),
    "settled": ((ages.settled,), lambda c: ages.settled(c, SPAN, 1)),
    "series": ((funnels.series, funnels.number_of), lambda c: funnels.series(c, SPAN, "view_item", PHONES)),
    "time to convert": ((funnels.time_to_convert,), lambda c: funnels.time_to_convert(c, SPAN, "view_item")),
    "movers": ((comparison.movers, funnels.counts_by, funnels.counts_of_all), lambda c: comparison.movers(c, Span(FUNNEL, MINUTE, MINUTE + 60, MINUTE + 400), LATER, 10)["movers"]),
    "freshness": ((health.freshness,), lambda c: health.freshness(c, PROJECT, START + 7_200_000)["events"]),
    "clocks": ((health.clocks,), lambda c: health.clocks(c, PROJECT, START, START + 7_200_000)),
    "disk": ((health.tables, health.columns, health.expiring), lambda c: (len(health.tables(c)) > 0, len(health.columns(c, "events")) > 0, {row["table"] for row in health.expiring(c, 2 * START)} >= {"events", "visitors"})),
    "names": ((names.seen, names.counted, names.span, names.minutes), lambda c: (names.minutes(c, PROJECT, MINUTE, MINUTE + 150), names.seen(c, PROJECT, START, START + 9_000_000), names.counted(c, PROJECT, START, START + 9_000_000), names.span(c, PROJECT))),
    "pulse": ((pulse.read,), lambda c: pulse.read(c, PROJECT, "EUR", START + 7_200_000, 60)),
    "recent": ((recent.insert, recent.latest), write_and_read_recent),
    "drained": ((drained.save, drained.until, drained.nodes), hear_two_nodes),
    "states": ((states.save, states.newest, states.load, states.forget), write_and_read_states),
    "rollups": ((journey.insert, rollup_writes.insert_arrivals, rollup_writes.insert_events, rollup_writes.insert_endpoints, rollup_writes.commit), write_rollups),
    "sweep": ((sweep.prune, sweep.forget_run, sweep.rows_of_run), write_twice_and_sweep),
    "preview": ((journey.arrivals, journey.matched, names.newest, funnels.steps_of), lambda c: preview(c, FUNNEL, START + 9_000_000)),
    "size": ((journey.size,), lambda c: journey.size(c, Scope(FUNNEL, "", MINUTE, MINUTE + 120))),
    "export": ((export.days, export.write), write_and_read_parquet),
    "outcomes": ((outcomes.orders, outcomes.trouble, funnels.counts_of), lambda c: (outcomes.orders(c, SPAN, PHONES), outcomes.trouble(c, SPAN, PHONES))),
    "latency": ((latency.by_step, latency.by_endpoint, funnels.stored_cohort), lambda c: (latency.by_step(c, SPAN, PHONES), latency.by_endpoint(c, SPAN))),
    "versions": ((rollups.versions, rollups.missing), lambda c: (rollups.versions(c, PROJECT, MINUTE, MINUTE + 180), rollups.missing(c, replace(FUNNEL, version=99), MINUTE, MINUTE + 180))),
    "window": ((rollups.window,), lambda c: rollups.window(c, FUNNEL, "", MINUTE + 119, 120)),
    "history": ((rollups.history,), lambda c: rollups.history(c, FUNNEL, "", MINUTE // 60, MINUTE // 60 + 3, [(MINUTE, MINUTE + 59, PHONES)])),
    "increments": ((rollups.increments,), lambda c: by_series(rollups.increments(c, FUNNEL, "", MINUTE, MINUTE + 120))),
    "drop off": ((sessions.drop_off,), lambda c: sessions.drop_off(c, SPAN, "begin_checkout")),
    "strips": ((sessions.strips,), lambda c: sessions.strips(c, SPAN, "begin_checkout")),
    "odds": ((sessions.odds_ratios,), lambda c: sessions.odds_ratios(c, SPAN, "begin_checkout", least=5)),
}  # fmt: skip
#: Pure helpers: no engine involved.
PURE = {"cohort_of", "cohorts", "known_by", "multi_of", "new_version", "parameters", "step_name", "version_of"}


def by_series(news: rollups.Increments) -> Any:
    """Rows known in the same minute come in no particular order."""
    order = np.lexsort((news.hits, news.trials, news.minute, news.series, news.known_minute))
    return news.keys, [column[order] for column in (news.known_minute, news.minute, news.series, news.trials, news.hits)]


def plain(value: Any) -> Any:
    """Arrays and dataclasses as lists and dictionaries, so that answers can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_engines_answer_alike(question: str, store: Client, native_client: Client) -> None:
    ask = QUESTIONS[question][1]
    want = plain(ask(store))
    assert plain(ask(native_client)) == want
    assert want, "an empty answer would prove nothing"


def test_every_public_function_is_asked() -> None:
    asked = {function for functions, _ in QUESTIONS.values() for function in functions}
    missing = []
    for module in pkgutil.iter_modules(queries.__path__):
        found = importlib.import_module(f"funnelwatch.store.queries.{module.name}")
        for name, function in inspect.getmembers(found, inspect.isfunction):
            if function.__module__ == found.__name__ and not name.startswith("_") and function not in asked and name not in PURE:
                missing.append(f"{module.name}.{name}")
    assert missing == []
