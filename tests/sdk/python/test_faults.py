"""Whatever the server, the network or the shop does wrong, every event is stored once or reported, and nothing is raised."""

import threading

import pytest
from funnelwatch_sdk import Client, Dropped, NotDelivered, Rejected


@pytest.mark.parametrize(
    "script", [[500, 500], [503], [408], ["reset"], [(429, {}, b"")], [(502, {}, b"<html>")]], ids=str
)
def test_a_passing_fault_is_tried_again_until_every_event_is_stored(collector, connect, errors, script):
    collector.script = script
    client = connect()
    sent = {client.track("x", {"n": n}, user_id="u") for n in range(5)}
    assert client.flush(5)
    assert collector.ids == sent
    assert errors == []


def test_retry_after_is_obeyed(collector, connect):
    collector.script = [(429, {"Retry-After": "1"}, b'{"code": "rate_limited", "message": "x"}')]
    client = connect()
    client.track("x", user_id="u")
    assert client.flush(5)
    assert 1.0 <= collector.times[1] - collector.times[0] < 1.6


@pytest.mark.parametrize("ordered", ["999999999999", "9" * 400], ids=len)
def test_a_pause_ordered_without_measure_is_cut(collector, connect, errors, monkeypatch, ordered):
    monkeypatch.setattr("funnelwatch_sdk.delivery._LONGEST_ORDER_S", 0.1)
    collector.script = [(429, {"Retry-After": ordered}, b"")]
    client = connect()
    message = client.track("x", user_id="u")
    assert client.flush(5)
    assert collector.ids == {message}
    assert errors == []


def test_a_fault_nobody_foresaw_costs_its_batch_and_is_reported_and_the_next_is_still_tried(collector, connect, errors, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://bücher..example")  # the name is refused with a UnicodeError
    client = connect()
    for number in (1, 2):
        client.track("x", user_id="u")
        assert client.flush(5)
        assert len(errors) == number
        assert isinstance(errors[-1], NotDelivered)
        assert "UnicodeError" in str(errors[-1])


def test_a_system_out_of_threads_costs_an_event_and_not_the_client(collector, connect, errors, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = connect()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        client.track("lost", user_id="u")
    client.track("kept", user_id="u")
    assert client.flush(5)
    assert [event["event"] for event in collector.events] == ["kept"]
    assert [str(error) for error in errors] == ["track: RuntimeError: can't start new thread"]


WRONG_CALLS = {
    "a time as text": lambda client: client.track("x", user_id="u", timestamp="2026-03-02T10:00:00Z"),
    "properties as a list": lambda client: client.track("x", [1, 2], user_id="u"),
    "context as a list": lambda client: client.track("x", user_id="u", context=[1]),
    "traits as a list": lambda client: client.identify("u", [1]),
    "a page as a list": lambda client: client.page([1], user_id="u"),
    "items that are none": lambda client: client.purchase("1", 1, "EUR", items=[5]),
    "items that are no list": lambda client: client.refund("1", 1, "EUR", items=5),
    "a name nobody knows": lambda client: client.stock("SKU-1", "in_stock", colour="red"),
    "a currency left out": lambda client: client.purchase("1", 1),
    "what cannot be text": lambda client: client.payment_failed("1", "declined", value=object()),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_wrong_call_is_reported_and_never_raised(collector, connect, errors, call):
    client = connect()
    assert call(client) == ""
    assert [type(error) for error in errors] == [Dropped]
    client.track("next", user_id="u")
    assert client.flush(5)
    assert [event["event"] for event in collector.events] == ["next"]


@pytest.mark.parametrize("answer", [b"{}", b"<html>", b'"x"', b"[1]", b'{"rejected": [1]}', b"[" * 65_000], ids=lambda answer: answer[:20])
def test_an_answer_that_makes_no_sense_is_as_good_as_its_status(collector, connect, errors, answer):
    collector.script = [(200, {}, answer)] * 2
    client = connect()
    for name in ("x", "y"):
        client.track(name, user_id="u")
        assert client.flush(5)
    assert [event["event"] for event in collector.events] == ["x", "y"]
    assert errors == []


def test_an_answer_slower_than_the_time_out_is_asked_again_under_the_same_ids(collector, connect):
    collector.script = ["slow"]
    client = connect(timeout=0.2)
    message = client.track("x", user_id="u")
    assert client.flush(5)
    assert len(collector.batches) == 2
    assert collector.ids == {message}


@pytest.mark.parametrize("status", [400, 401, 403, 413, 302])
def test_a_refusal_is_not_repeated_and_is_reported(collector, connect, errors, status):
    collector.script = [(status, {"Location": "/elsewhere"}, b'{"code": "unknown_key", "message": "no such key"}')]
    client = connect()
    client.track("x", user_id="u")
    assert client.flush(5)
    assert len(collector.requests) == 1
    assert isinstance(errors[0], NotDelivered)
    assert str(status) in str(errors[0])
    assert "wk_test" not in str(errors[0])


def test_it_gives_up_at_last_and_goes_on_with_what_comes_after(collector, connect, errors):
    collector.script = [500] * 3
    client = connect(max_tries=3)
    client.track("lost", user_id="u")
    client.flush(5)
    client.track("kept", user_id="u")
    client.flush(5)
    assert [event["event"] for event in collector.events] == ["kept"]
    assert "after 3 tries" in str(errors[0])


def test_a_server_that_is_not_there_is_no_exception_for_the_shop(errors):
    client = Client("wk", "http://127.0.0.1:9", max_tries=2, first_wait=0.01, on_error=errors.append)
    client.purchase("1", 1, "EUR")
    assert client.flush(5)
    assert isinstance(errors[0], NotDelivered)
    client.close()


def test_events_the_server_sets_aside_are_reported_with_their_reasons(collector, connect, errors):
    collector.script = [(200, {}, b'{"success": true, "accepted": 1, "rejected": {"invalid_value": 2}}')]
    client = connect()
    client.track("x", user_id="u")
    client.flush(5)
    assert isinstance(errors[0], Rejected)
    assert errors[0].reasons == {"invalid_value": 2}


def test_a_handler_that_raises_does_not_stop_the_events(collector, connect):
    def broken(error: Exception) -> None:
        raise RuntimeError("broken")

    collector.script = [400]
    client = connect(on_error=broken)
    client.track("x", user_id="u")
    client.flush(5)
    client.track("y", user_id="u")
    assert client.flush(5)
    assert [event["event"] for event in collector.events] == ["y"]


def test_flush_says_false_when_its_time_is_up(collector, connect):
    collector.script = [(503, {"Retry-After": "5"}, b"")]
    client = connect()
    client.track("x", user_id="u")
    assert client.flush(0.3) is False
