"""Segment's and RudderStack's real clients against ingest, each through every fault it can meet. README.md has what they do."""

from decimal import Decimal

import pytest

from tests.ingest.clients.cases import CASES, PAGE_CASES, SENT, STORED_AS, Case
from tests.ingest.clients.conftest import RETRY_AFTER, Outcome
from tests.ingest.clients.installed import missing_for


def outcome_of(case: Case, outcomes: dict[Case, Outcome]) -> Outcome:
    missing = missing_for(case)
    if missing:
        pytest.skip(f"{missing} is not installed")
    return outcomes[case]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_event_is_counted_exactly_once(case: Case, outcomes: dict[Case, Outcome]) -> None:
    outcome = outcome_of(case, outcomes)
    delivered = {name for delivery in outcome.deliveries for name in delivery.names}
    assert delivered if case.may_forget else delivered == case.names
    assert outcome.given_up == (SENT if case.gives_up else set())
    # What the slow server took is stored, though the client gave it up: once, as everything else.
    assert outcome.counts == {STORED_AS[name]: 1 for name in delivered}


@pytest.mark.parametrize("case", [case for case in CASES if case.fault], ids=str)
def test_every_event_met_the_fault_and_those_clients_that_send_again_did(case: Case, outcomes: dict[Case, Outcome]) -> None:
    deliveries = outcome_of(case, outcomes).deliveries
    for name in SENT:
        met = [delivery.spoiled for delivery in deliveries if name in delivery.names]
        assert met.count(True) >= case.fault.times, name
        assert met.count(False) >= case.sends_again, name


@pytest.mark.parametrize("case", [case for case in CASES if case.fault.busy and case.obeys_retry_after], ids=str)
def test_retry_after_is_obeyed(case: Case, outcomes: dict[Case, Outcome]) -> None:
    deliveries = outcome_of(case, outcomes).deliveries
    for name in SENT:
        first, second, *_ = [delivery.at for delivery in deliveries if name in delivery.names]
        assert second - first >= RETRY_AFTER, name


@pytest.mark.parametrize("case", [case for case in CASES if case.fault_name == "normal"], ids=str)
def test_an_order_arrives_whole(case: Case, outcomes: dict[Case, Outcome]) -> None:
    (order,) = [row for row in outcome_of(case, outcomes).rows if row["name"] == "purchase"]
    page = case in PAGE_CASES
    assert (order["order_id"], order["value"], order["currency"], order["coupon"]) == ("A-1001", Decimal("59.9"), "EUR", "SPRING")
    assert order["channel"] == ("browser" if page else "server")
    assert bool(order["page_path"]) is page
    assert order["visitor_id"]
    assert order["user_id"]
    assert (order["app_version"], order["time_mark"]) == ("", "")
    # Not by how long it took: a busy machine may take its time.
    assert outcome_of(case, outcomes).began <= order["ts"] <= order["received_at"]
