"""A scenario is the same whenever and however it is played, and arrives in the order of time."""

import gzip
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from funnelwatch.core.vocabulary import CHANGE_KINDS, DIMENSIONS, INCIDENT_KINDS
from funnelwatch.simulate import SCENARIOS, Simulation, write
from funnelwatch.simulate.shop import STEPS

SMALL = {"days": 0.2, "sessions_per_day": 900}


@pytest.fixture(scope="module")
def whole():
    simulation = Simulation("case-study", seed=5, **SMALL)
    return simulation, list(simulation.messages())


def encoded(messages):
    return msgspec.json.Encoder().encode_lines(list(messages))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = write("case-study", tmp_path / "a", seed=3, **SMALL)
    second = write("case-study", tmp_path / "b", seed=3, **SMALL)
    assert first == second
    for name in ("events.jsonl.gz", "changes.jsonl", "truth.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_seed_gives_other_events(tmp_path):
    write("case-study", tmp_path / "a", seed=3, **SMALL)
    write("case-study", tmp_path / "b", seed=4, **SMALL)
    assert (tmp_path / "a/events.jsonl.gz").read_bytes() != (tmp_path / "b/events.jsonl.gz").read_bytes()


def test_the_files_hold_what_the_summary_says(tmp_path):
    progress = []
    summary = write("case-study", tmp_path, seed=3, progress=lambda share, events: progress.append((share, events)), **SMALL)
    lines = gzip.decompress((tmp_path / "events.jsonl.gz").read_bytes()).splitlines()
    received = [json.loads(line)["receivedAt"] for line in lines]
    assert summary["events"] == len(lines) == progress[-1][1]
    assert summary["from"] <= received[0]
    assert received[-1] < summary["until"]
    assert progress == sorted(progress)
    assert 0.99 < progress[-1][0] <= 1
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert summary["history_until"] == truth["history_until"]


@settings(max_examples=8, deadline=None)
@given(share=st.floats(0.0, 1.0))
def test_history_and_what_follows_make_the_whole_wherever_it_is_cut(whole, share):
    simulation, messages = whole
    cut = simulation.start + (simulation.until - simulation.start) * share
    parts = [*simulation.messages(until=cut), *simulation.messages(since=cut)]
    assert encoded(parts) == encoded(messages)


def test_the_live_stream_continues_the_history_without_end(whole):
    simulation, messages = whole
    since = simulation.history_until
    live = list(islice(simulation.arrivals(since), len(messages)))
    expected = list(simulation.messages(since=since))
    assert encoded(message for _, message in live[: len(expected)]) == encoded(expected)
    assert live[-1][0] > simulation.until


def test_messages_come_in_the_order_of_receipt_and_never_before_they_happened(whole):
    _, messages = whole
    received = [message["receivedAt"] for message in messages]
    assert received == sorted(received)
    for message in messages:
        assert message["timestamp"] <= message["sentAt"] < message["receivedAt"]


def test_most_messages_arrive_within_seconds_and_some_minutes_late(whole):
    _, messages = whole
    lags = [
        datetime.fromisoformat(message["receivedAt"]) - datetime.fromisoformat(message["timestamp"])
        for message in messages
    ]
    soon = sum(lag < timedelta(seconds=12) for lag in lags) / len(lags)
    late = sum(lag > timedelta(minutes=1) for lag in lags) / len(lags)
    assert 0.97 < soon < 0.999
    assert 0.001 < late < 0.02


def test_a_repeated_message_id_is_the_same_message_sent_again(play):
    _, messages = play("quiet")
    seen = {}
    repeats = 0
    for message in messages:
        content = {key: value for key, value in message.items() if key not in ("sentAt", "receivedAt")}
        if message["messageId"] in seen:
            assert seen[message["messageId"]] == content
            repeats += 1
        seen[message["messageId"]] = content
    assert 0.001 < repeats / len(messages) < 0.006


def test_every_sort_of_message_is_within_what_the_sdks_promise(play):
    schema = json.loads((Path(__file__).parents[2] / "sdk/contract/batch.schema.json").read_text())
    validator = Draft202012Validator(schema)
    examples = defaultdict(list)
    for scenario in ("case-study", "checkout-outage"):
        for message in play(scenario)[1]:
            examples[message["messageId"].partition("-")[2]].append(message)
    assert len(examples) > 25
    for messages in examples.values():
        batch = [{k: v for k, v in message.items() if k not in ("sentAt", "receivedAt")} for message in messages[:5]]
        validator.validate({"batch": batch, "sentAt": messages[0]["sentAt"]})
        assert max(len(msgspec.json.encode(message)) for message in messages) < 4_000


def test_the_funnel_is_passed_in_order(play, by_session):
    _, messages = play("quiet")
    for session in by_session(messages).values():
        firsts = {}
        for message in sorted(session, key=lambda message: message["timestamp"]):
            name = "page_view" if message["type"] == "page" else message.get("event", "")
            firsts.setdefault(name, message["timestamp"])
        if "page_view" in firsts and "view_item" in firsts:  # not cut off at the start of the stretch
            times = [firsts[step] for step in STEPS if step in firsts]
            assert times == sorted(times)


def test_a_stranger_who_signs_in_at_checkout_keeps_the_customer_id_to_the_order(play, by_session):
    _, messages = play("quiet")
    joined = [session for session in by_session(messages).values() if any(m["type"] == "identify" for m in session)]
    assert joined
    for session in joined:
        since, customer = next((m["timestamp"], m["userId"]) for m in session if m["type"] == "identify")
        for message in session:
            assert message.get("userId") == (customer if message["timestamp"] >= since else None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_truth_uses_the_product_s_vocabulary_and_its_causes_are_in_the_ledger(name):
    simulation = Simulation(name)
    truth, ledger = simulation.truth(), simulation.changes()
    identifiers = [change["external_id"] for change in ledger]
    assert len(identifiers) == len(set(identifiers))
    assert {change["kind"] for change in ledger} <= set(CHANGE_KINDS)
    assert [change["started_at"] for change in ledger] == sorted(change["started_at"] for change in ledger)
    assert all(change["known_at"] >= change["started_at"] for change in ledger)
    for incident in truth["incidents"]:
        assert incident["kind"] in INCIDENT_KINDS
        assert set(incident["cohort"]) <= set(DIMENSIONS)
        assert set(incident["step"].split("->")) <= set(STEPS)
        assert incident["cause"] in identifiers
        assert -1 <= incident["effect"] < 0
    for happening in truth["incidents"] + truth["not_incidents"]:
        assert truth["from"] < truth["history_until"] <= happening["start"] < happening["end"] <= truth["until"]


def test_the_case_study_s_ledger_holds_decoys_near_the_fault():
    simulation = Simulation("case-study")
    onset = datetime.fromisoformat(simulation.truth()["incidents"][0]["start"])
    near = [
        change["external_id"]
        for change in simulation.changes()
        if abs(datetime.fromisoformat(change["started_at"]) - onset) < timedelta(hours=1)
    ]
    assert "cdn-4f2c" in near
    assert len(near) >= 4


def test_the_quiet_twin_is_the_case_study_without_its_fault():
    case, quiet = SCENARIOS["case-study"], SCENARIOS["quiet"]
    assert quiet.faults == ()
    assert (quiet.shop, quiet.changes, quiet.sessions_per_day) == (case.shop, case.changes, case.sessions_per_day)


def test_a_release_in_the_ledger_reaches_the_sessions_that_start_after_it(play):
    simulation, messages = play("quiet")
    release = datetime.fromisoformat(
        next(change["started_at"] for change in simulation.changes() if change["external_id"] == "deploy-9d03f7b")
    )
    versions = {True: Counter(), False: Counter()}
    for message in messages:
        at = datetime.fromisoformat(message["timestamp"])
        landed = message["messageId"].endswith("-land")
        if landed and (at < release or at > release + timedelta(minutes=10)):
            versions[at > release][message["context"]["app"]["version"]] += 1
    assert set(versions[False]) == {"5.18.1"}
    assert set(versions[True]) == {"5.18.2"}


def test_a_span_can_begin_anywhere_in_time():
    start = datetime(2024, 2, 29, 23, 59, 30, tzinfo=UTC)
    simulation = Simulation("quiet", start=start, **SMALL)
    first = next(simulation.messages())
    assert first["timestamp"] >= "2024-02-29T23:59:30"
    assert simulation.truth()["from"] == "2024-02-29T23:59:30.000Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"scenario": "nope"}, "no scenario 'nope'; there are case-study"),
        ({"start": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - the mistake under test
        ({"days": 0}, "days"),
        ({"sessions_per_day": -1}, "sessions per day"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_mistake_is_named(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Simulation(**{"scenario": "quiet", **arguments})
