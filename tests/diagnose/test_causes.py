"""Causes are ranked by time, reach and mechanism, the impossible ones are out with a reason, and doubt stays in the race."""

from datetime import UTC, datetime, timedelta

import pytest

from funnelwatch.core.changes import Change
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import LeafTable, RankedCause, Signature
from funnelwatch.diagnose.causes import Onset, rank
from tests.diagnose.test_localise import table

NOON = datetime(2026, 9, 12, 12, 0, tzinfo=UTC)
ONSET = Onset(NOON, NOON - timedelta(minutes=2), NOON + timedelta(minutes=2))
COHORT = Cohort.of({"os": "iOS", "browser": "Safari", "campaign": "ig_sale"})
PAYMENT = Signature("payment_failed", "widget_timeout", before=0.01, since=0.4, count=60)


def change(number: int, kind: str, minutes_before: float, **more: object) -> Change:
    return Change(id=number, kind=kind, title=f"{kind} {number}", started_at=NOON - timedelta(minutes=minutes_before),
                  source="test", external_id=f"{kind}-{number}", **more)  # fmt: skip


def by_id(causes: tuple[RankedCause, ...]) -> dict[str, RankedCause]:
    return {cause.external_id or cause.kind: cause for cause in causes}


def broken() -> LeafTable:
    return table({"os": ("iOS",), "browser": ("Safari",), "campaign": ("ig_sale",)}, 0.4)


def test_the_change_just_before_the_drop_with_the_fitting_mechanism_leads_and_probabilities_sum_to_one() -> None:
    changes = [change(1, "cdn", 6), change(2, "campaign", 40, scope={"campaign": ("ig_sale",)}), change(3, "deploy", 300)]
    ranked = rank(ONSET, COHORT, broken(), changes, [PAYMENT])
    assert ranked[0].external_id == "cdn-1"
    assert sum(cause.probability for cause in ranked) == pytest.approx(1.0)
    assert {item.kind for item in ranked[0].evidence} >= {"time", "scope", "mechanism"}


def test_a_change_after_the_drop_is_rejected_with_the_reason() -> None:
    cause = by_id(rank(ONSET, COHORT, broken(), [change(1, "deploy", -20)], []))["deploy-1"]
    assert cause.probability == 0
    assert "after the drop" in cause.rejected


def test_a_change_that_never_reached_the_cohort_is_rejected() -> None:
    cause = by_id(rank(ONSET, COHORT, broken(), [change(1, "deploy", 5, scope={"os": ("Android",)})], []))["deploy-1"]
    assert "reached only 0%" in cause.rejected


def test_with_no_change_near_unknown_leads() -> None:
    ranked = rank(ONSET, COHORT, broken(), [change(1, "deploy", 20 * 60)], [PAYMENT])
    assert ranked[0].kind == "unknown"


def test_risen_coupon_rejections_speak_for_the_promo_and_not_for_the_cdn() -> None:
    coupon = Signature("coupon_rejected", "expired", before=0.01, since=0.3, count=40)
    ranked = rank(ONSET, COHORT, broken(), [change(1, "cdn", 6), change(2, "promo", 6)], [coupon])
    assert ranked[0].external_id == "promo-2"


def test_of_two_changes_at_the_same_time_the_one_whose_reach_is_the_broken_group_leads() -> None:
    scoped = {"browser": ("Safari",), "campaign": ("ig_sale",)}
    ranked = rank(ONSET, COHORT, broken(), [change(1, "deploy", 6), change(2, "deploy", 6, scope=scoped)], [PAYMENT])
    assert ranked[0].external_id == "deploy-2"
    assert any(item.kind == "control" for item in ranked[0].evidence)
