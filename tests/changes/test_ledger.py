"""The change ledger: what it takes, what it refuses and what it knew at a time."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.changes import ledger
from funnelwatch.core.vocabulary import CHANGE_KINDS
from funnelwatch.projects.models import ChangeRow, Organisation, Project

AT = datetime(2026, 3, 2, 14, 25, tzinfo=UTC)
DEPLOY = {
    "kind": "deploy",
    "title": "Release 9",
    "started_at": "2026-03-02T19:55:00+05:30",
    "source": "ci",
    "external_id": "r9",
}


@pytest.fixture
def shop(db) -> Project:
    return Project.objects.create(organisation=Organisation.objects.create(name="Loomlane"), name="shop")


def test_the_same_source_and_id_update_and_what_is_not_given_stays(shop):
    ledger.upsert(shop, ledger.clean(DEPLOY | {"author": "alice", "scope": {"browser": ["Safari"], "os": "iOS"}}))
    row, new = ledger.upsert(shop, ledger.clean(DEPLOY | {"title": "Release 9.1", "ended_at": "2026-03-02T15:00:00Z"}))
    assert not new
    assert ChangeRow.objects.count() == 1
    row.refresh_from_db()
    assert (row.title, row.author, row.started_at) == ("Release 9.1", "alice", AT)
    assert row.scope == {"browser": ["Safari"], "os": ["iOS"]}


def test_two_projects_may_use_the_same_id(shop):
    other = Project.objects.create(organisation=shop.organisation, name="other")
    assert ledger.upsert(shop, ledger.clean(DEPLOY))[1]
    assert ledger.upsert(other, ledger.clean(DEPLOY))[1]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("kind", "magic", "must be one of deploy"),
        ("title", "", "is missing"),
        ("title", "x" * 301, "longer than 300"),
        ("title", 7, "must be text"),
        ("started_at", "yesterday", "ISO 8601"),
        ("started_at", "2026-03-02T14:25:00", "with its zone"),
        ("ended_at", "2026-03-01T00:00:00Z", "before started_at"),
        ("url", "javascript:alert(1)", "http"),
        ("scope", {"colour": ["red"]}, "knows no dimension colour"),
        ("scope", {"os": [1]}, "list of texts"),
        ("scope", [], "must be like"),
        ("planned", "yes", "true or false"),
        ("expected_effect", {"metric": "conversion"}, "direction"),
        ("expected_effect", {"metric": "conversion", "direction": "down", "size": "big"}, "number"),
        ("revert", "now", "JSON object"),
    ],
)
def test_what_cannot_be_taken_says_which_field_and_why(field, value, says):
    with pytest.raises(ledger.InvalidChange) as raised:
        ledger.clean(DEPLOY | {field: value})
    assert says in raised.value.errors[field]


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*DEPLOY, "ended_at", "url", "scope", "expected_effect", "revert", "planned"]), _JSON
    ),
    _JSON,
)
def test_any_json_is_either_taken_or_refused_as_an_invalid_change(fields, anything):
    for row in (fields, DEPLOY | fields, anything):
        with contextlib.suppress(ledger.InvalidChange):
            assert ledger.clean(row)["kind"] in CHANGE_KINDS


def test_a_file_of_changes_is_counted_and_bad_lines_are_named(shop):
    rows = [DEPLOY, DEPLOY | {"external_id": "r10"}, DEPLOY | {"title": "again"}, DEPLOY | {"kind": "magic"}]
    lines = [json.dumps(row).encode() for row in rows] + [b"", b"{half"]
    result = ledger.import_lines(shop, lines)
    assert {key: result[key] for key in ("read", "imported", "updated", "rejected")} == {
        "read": 5,
        "imported": 2,
        "updated": 1,
        "rejected": 2,
    }
    assert [error.split(":")[0] for error in result["errors"]] == ["line 4", "line 6"]


def _titles(shop, as_of):
    return [change.title for change in ledger.near(shop, AT - timedelta(hours=1), AT + timedelta(hours=1), as_of)]


def test_a_change_is_seen_only_from_when_it_was_known(shop):
    ledger.upsert(shop, ledger.clean(DEPLOY))
    ledger.upsert(
        shop, ledger.clean(DEPLOY | {"title": "Told late", "external_id": "r10", "known_at": "2026-03-02T15:00:00Z"})
    )
    assert _titles(shop, AT - timedelta(minutes=1)) == []
    assert _titles(shop, AT) == ["Release 9"]
    assert _titles(shop, AT + timedelta(minutes=35)) == ["Release 9", "Told late"]


def test_the_end_of_a_change_is_a_candidate_too_and_unknown_before_it_came(shop):
    promo = DEPLOY | {
        "kind": "promo",
        "title": "Sale",
        "started_at": "2026-03-01T00:00:00Z",
        "ended_at": "2026-03-02T14:30:00Z",
    }
    ledger.upsert(shop, ledger.clean(promo))
    assert _titles(shop, AT) == []
    assert _titles(shop, AT + timedelta(minutes=6)) == ["Sale"]
    ledger.upsert(shop, ledger.clean(promo | {"planned": True}))
    assert _titles(shop, AT) == ["Sale"]


def test_an_end_still_ahead_is_hidden_from_the_past(shop):
    ledger.upsert(shop, ledger.clean(DEPLOY | {"ended_at": "2026-03-02T14:50:00Z"}))
    before, after = (ledger.near(shop, AT, AT, AT + timedelta(minutes=minutes))[0] for minutes in (5, 30))
    assert before.ended_at is None
    assert after.ended_at == AT + timedelta(minutes=25)
