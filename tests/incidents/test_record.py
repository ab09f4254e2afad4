"""From findings to incidents on a real database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.diagnosis import Diagnosis, Evidence, Finding, Impact, RankedCause
from funnelwatch.core.funnel import default_steps
from funnelwatch.core.series import SeriesKey
from funnelwatch.core.signals import Anomaly, Signal
from funnelwatch.incidents import record
from funnelwatch.incidents.models import Cause, Delivery, Incident, TimelineEntry
from funnelwatch.projects.models import ChangeRow, Channel, Funnel, Organisation, Project, steps_to_json

pytestmark = pytest.mark.django_db

ONSET = datetime(2026, 3, 2, 14, 32, tzinfo=UTC)
IOS = Cohort.of({"os": "iOS", "browser": "Safari", "campaign": "ig_sale"})
PAYMENT = ("add_payment_info", "purchase")


@pytest.fixture
def shop() -> Project:
    project = Project.objects.create(
        organisation=Organisation.objects.create(name="Loomlane"), name="shop", currency="INR"
    )
    Funnel.objects.create(project=project, steps=steps_to_json(default_steps()))
    Channel.objects.create(project=project, kind="slack", name="ops")
    Channel.objects.create(project=project, kind="pagerduty", name="night", min_severity="critical")
    return project


def finding(
    cohort=IOS, step=PAYMENT, onset=ONSET, effect=-0.18, lost=40.0, kind="rate", causes=(("cdn", "CDN config 4f2c", 0.81),), error="",
    metric="conversion",
) -> Finding:  # fmt: skip
    minute = clock.to_minute(onset)
    anomaly = Anomaly(
        key=SeriesKey(metric, *step, cohort, error), minute=minute + 4, onset=minute, onset_interval=(minute - 2, minute + 2),
        expected=0.621, observed=0.621 * (1 + effect), interval=(0.492, 0.526), effect=effect, probability=0.998, missing=lost,
        trials=600, kind=kind, signals=(Signal("rate_cusum", 3, 0.99, 1e-9, "down", minute + 4, "too few payments"),),
    )  # fmt: skip
    ranked = tuple(RankedCause(k, t, p, (Evidence("time", "7 min before", 1.2),)) for k, t, p in causes)
    impact = Impact("INR", lost, Decimal("341000"), (Decimal("268000"), Decimal("411000")), Decimal("98000"))
    definition = Funnel.objects.get().definition()
    return Finding(funnel=definition, anomaly=anomaly, diagnosis=Diagnosis(cohort, *step, 0.92, ranked, impact))


def after(minutes: float) -> datetime:
    return ONSET + timedelta(minutes=minutes)


def observe(shop, *findings, at=None, mode="live", run=""):
    return record.observe(shop, run, findings, at or after(5), mode)


def test_a_finding_opens_an_incident_that_says_what_where_and_why(shop):
    (incident,) = observe(shop, finding())
    assert incident.title == "Payment conversion fell 18 % for iOS Safari · ig_sale"
    assert (incident.status, incident.severity, incident.step) == ("open", "critical", "add_payment_info->purchase")
    assert incident.started_at == ONSET
    assert incident.detected_at == after(5)
    assert incident.impact["lost_revenue"] == 341000.0
    assert [(row.kind, row.at) for row in incident.timeline.all()] == [
        ("onset", ONSET), ("detected", after(5)), ("localised", after(5)), ("cause_ranked", after(5)),
    ]  # fmt: skip
    assert incident.timeline.last().text == "CDN config 4f2c is very likely the cause (81 %)."
    assert incident.causes.get().evidence[0]["text"] == "7 min before"
    assert incident.detectors[0]["first_fired_at"] == "2026-03-02T14:36:00+00:00"


def test_the_same_tick_run_twice_changes_nothing(shop):
    def state():
        return [list(model.objects.order_by("pk").values()) for model in (Incident, TimelineEntry, Cause, Delivery)]

    observe(shop, finding())
    observe(shop, finding(lost=60), at=after(6))
    before = state()
    observe(shop, finding(lost=60), at=after(6))
    assert state() == before


def test_later_ticks_extend_the_incident_and_refresh_its_numbers(shop):
    (first,) = observe(shop, finding())
    (second,) = observe(shop, finding(lost=80, effect=-0.25), at=after(9))
    assert second == first
    second.refresh_from_db()
    assert second.impact["lost_orders"] == 80
    assert second.last_seen_at == after(9)
    assert second.title.startswith("Payment conversion fell 25 %")
    assert second.timeline.count() == 4


def test_a_later_onset_estimate_never_moves_the_start_behind_the_detection(shop):
    observe(shop, finding())
    (incident,) = observe(shop, finding(onset=after(30)), at=after(40))
    assert incident.started_at == ONSET


@pytest.mark.parametrize(
    ("cohort", "step", "minutes"),
    [
        (Cohort.of({"os": "iOS"}), PAYMENT, 0),
        (EVERYONE, PAYMENT, 40),
        (Cohort.of({"device": "mobile"}), PAYMENT, 3),
        (IOS, ("add_shipping_info", "add_payment_info"), 1),
        (IOS, ("begin_checkout", "purchase"), 50),
    ],
    ids=[
        "a wider cohort",
        "everyone, later",
        "another cut, same onset",
        "the step before, same onset",
        "a wider range, later",
    ],
)
def test_one_fault_seen_in_another_way_joins_its_incident(shop, cohort, step, minutes):
    (first,) = observe(shop, finding())
    (second,) = observe(shop, finding(cohort=cohort, step=step, onset=after(minutes)), at=after(60))
    assert second == first


@pytest.mark.parametrize(
    ("cohort", "step", "minutes", "kind"),
    [
        (Cohort.of({"os": "Android"}), PAYMENT, 0, "rate"),
        (Cohort.of({"payment_provider": "razorpay"}), PAYMENT, 50, "rate"),
        (IOS, ("view_item", "add_to_cart"), 50, "rate"),
        (IOS, PAYMENT, 0, "bot"),
    ],
    ids=[
        "a cohort that cannot overlap",
        "another cut, another onset",
        "another step, another onset",
        "not the shop's trouble",
    ],
)
def test_a_second_fault_opens_its_own_incident(shop, cohort, step, minutes, kind):
    (first,) = observe(shop, finding())
    (second,) = observe(shop, finding(cohort=cohort, step=step, onset=after(minutes), kind=kind), at=after(60))
    assert second != first


def test_a_drop_seen_at_several_steps_in_one_tick_is_one_incident_over_the_whole_range(shop):
    steps = [("view_item", "add_to_cart"), ("begin_checkout", "add_shipping_info"), PAYMENT]
    (incident,) = observe(shop, *(finding(cohort=EVERYONE, step=step) for step in steps))
    assert incident.step == "view_item->purchase"
    assert incident.title == "Product → order conversion fell 18 % for all shoppers"


def test_two_incidents_that_turn_out_to_be_one_are_merged_into_the_older(shop):
    (older,) = observe(shop, finding(cohort=Cohort.of({"browser": "Safari"})))
    (younger,) = observe(shop, finding(cohort=Cohort.of({"browser": "Chrome"}), onset=after(2)), at=after(6))
    assert older != younger
    observe(shop, finding(cohort=EVERYONE, lost=200), at=after(8))
    younger.refresh_from_db()
    older.refresh_from_db()
    assert (older.status, older.cohort, younger.status) == ("open", [], "resolved")
    assert younger.similar == older
    assert observe(shop, finding(cohort=Cohort.of({"browser": "Chrome"})), at=after(9)) == [older]


def test_quiet_makes_it_recovering_then_resolved_and_a_return_within_the_hour_reopens_it(shop):
    (incident,) = observe(shop, finding())
    assert record.still(shop, "", [], after(9)) == []
    record.still(shop, "", [], after(10))
    incident.refresh_from_db()
    assert incident.status == "mitigated"
    record.still(shop, "", [], after(25))
    incident.refresh_from_db()
    assert (incident.status, incident.resolved_at) == ("resolved", after(25))
    assert observe(shop, finding(), at=after(45)) == []  # the old trouble, in a series too small to show that it is over
    assert observe(shop, finding(onset=after(46)), at=after(50)) == [incident]
    incident.refresh_from_db()
    assert (incident.status, incident.resolved_at) == ("open", None)
    assert [row.kind for row in incident.timeline.all()][4:] == ["recovering", "resolved", "detected"]
    assert list(incident.deliveries.filter(channel__kind="slack").values_list("event", flat=True)) == [
        "opened",
        "resolved",
        "opened",
    ]


def test_what_was_found_over_and_lingers_opens_nothing_however_late_and_a_later_relapse_is_another_incident(shop):
    (incident,) = observe(shop, finding())
    record.still(shop, "", [], after(25))
    assert observe(shop, finding(), at=after(600)) == []
    assert observe(shop, finding(onset=after(60)), at=after(700)) == [incident]  # began within the hour, seen late
    record.still(shop, "", [], after(725))
    (relapse,) = observe(shop, finding(onset=after(800)), at=after(805))
    assert relapse != incident


def test_a_new_level_that_is_accepted_is_said_to_be_one(shop):
    (incident,) = observe(shop, finding())
    record.still(shop, "", [SeriesKey("conversion", *PAYMENT, IOS)], after(5 * 1_440))
    record.still(shop, "", [], after(5 * 1_440 + 25))
    assert "the range has moved to the new level" in incident.timeline.get(kind="resolved").text


@pytest.mark.parametrize(
    ("cohort", "held"),
    [(IOS, True), (Cohort.of({"os": "iOS"}), True), (EVERYONE, False), (Cohort.of({"os": "Android"}), False)],
    ids=["its own", "a wider one", "everyone", "another"],
)
def test_a_series_that_has_not_recovered_holds_its_incident_open(shop, cohort, held):
    observe(shop, finding())
    record.still(shop, "", [SeriesKey("conversion", *PAYMENT, cohort)], after(30))
    assert (Incident.objects.get().status == "open") is held


def test_a_person_who_resolves_it_gets_time_for_the_fix_to_work(shop):
    (incident,) = observe(shop, finding())
    Incident.objects.update(status="resolved", resolved_at=after(10))
    record.log(incident, after(10), "resolved", "Resolved", actor="alice")
    observe(shop, finding(), at=after(12))
    incident.refresh_from_db()
    assert incident.status == "resolved"
    observe(shop, finding(), at=after(31))
    incident.refresh_from_db()
    assert incident.status == "open"


def test_a_false_alarm_stays_one_while_the_same_signal_goes_on(shop):
    (incident,) = observe(shop, finding())
    Incident.objects.update(status="false_alarm", resolved_at=after(8))
    assert observe(shop, finding(), at=after(50)) == [incident]
    incident.refresh_from_db()
    assert incident.status == "false_alarm"


def plan(shop, size=0.3, scope=None):
    return ChangeRow.objects.create(
        project=shop, kind="promo", title="Checkout maintenance", started_at=after(-5), ended_at=after(120), source="api",
        external_id="m1", planned=True, scope=scope or {}, expected_effect={"metric": "conversion", "direction": "down", "size": size},
    )  # fmt: skip


def test_what_was_planned_is_expected_and_alerts_nobody_until_it_outgrows_the_plan(shop):
    plan(shop)
    (incident,) = observe(shop, finding(effect=-0.3))
    assert incident.status == "expected"
    assert not incident.deliveries.exists()
    observe(shop, finding(effect=-0.6), at=after(10))
    incident.refresh_from_db()
    assert incident.status == "open"
    assert incident.deliveries.count() == 2


@pytest.mark.parametrize(
    ("size", "scope"), [(0.05, {}), (0.3, {"os": ["Android"]})], ids=["too small", "another cohort"]
)
def test_a_plan_that_does_not_account_for_it_excuses_nothing(shop, size, scope):
    plan(shop, size, scope)
    assert observe(shop, finding())[0].status == "open"


def test_a_plan_that_was_not_known_yet_excuses_nothing(shop):
    row = plan(shop)
    row.known_at = after(90)
    row.save()
    assert observe(shop, finding())[0].status == "open"


def test_channels_hear_of_it_from_their_severity_on(shop):
    (incident,) = observe(shop, finding(lost=0.5))
    assert incident.severity == "medium"
    assert [row.channel.kind for row in incident.deliveries.all()] == ["slack"]
    observe(shop, finding(lost=8), at=after(8))
    assert [row.channel.kind for row in incident.deliveries.all()] == ["slack", "pagerduty"]


def test_it_is_told_again_only_when_it_gets_worse_and_not_at_once(shop):
    (incident,) = observe(shop, finding(lost=0.5))
    for minute in range(6, 25):
        observe(shop, finding(lost=minute / 5), at=after(minute))
    told = list(incident.deliveries.filter(channel__kind="slack").values_list("event", "severity", "created_at"))
    assert told == [("opened", "medium", after(5)), ("escalated", "high", after(20))]


def test_a_cause_found_later_is_news_for_those_who_were_told(shop):
    (incident,) = observe(shop, finding(causes=[("unknown", "Unknown", 0.7)]))
    observe(shop, finding(), at=after(7))
    assert incident.deliveries.filter(event="updated").count() == 2
    observe(shop, finding(causes=[("deploy", "Release 9", 0.46), ("cdn", "CDN config 4f2c", 0.44)]), at=after(8))
    assert incident.timeline.filter(kind="cause_ranked").last().text.startswith("CDN config 4f2c")


@pytest.mark.parametrize(("mode", "rows", "waiting"), [("none", 0, 0), ("record", 2, 0), ("live", 2, 2)])
def test_a_replay_tells_only_as_far_as_it_was_asked_to(shop, mode, rows, waiting):
    (incident,) = observe(shop, finding(), mode=mode, run="r1")
    record.still(shop, "r1", [], after(30))
    assert incident.deliveries.count() == rows * 2
    assert incident.deliveries.filter(sent_at=None).count() == waiting * 2


def test_runs_do_not_see_one_another(shop):
    (live,) = observe(shop, finding())
    (replayed,) = observe(shop, finding(), run="r1", mode="none")
    assert live != replayed
    assert record.still(shop, "r1", [], after(40)) == [replayed]


@pytest.mark.parametrize(
    ("kind", "step", "effect", "error", "title"),
    [
        ("error", PAYMENT, 3.2, "payment_failed", "Failed payments rose 4.2-fold for all shoppers"),
        ("volume", ("page_view", ""), -0.4, "", "Traffic fell 40 % for all shoppers"),
        ("silence", ("page_view", ""), -1, "", "No page view events arrive from all shoppers"),
        ("tracking", PAYMENT, -0.6, "", "Purchase events lost 60 % on the way for all shoppers"),
        (
            "rate",
            ("add_to_cart", "begin_checkout"),
            -0.004,
            "",
            "Cart conversion fell 0.4 % for all shoppers",
        ),
    ],
)
def test_titles_say_what_moved(shop, kind, step, effect, error, title):
    assert observe(shop, finding(cohort=EVERYONE, kind=kind, step=step, effect=effect, error=error))[0].title == title


@pytest.mark.parametrize("kind", ["mix", "bot", "late_data"])
def test_what_is_not_the_shops_own_trouble_is_shown_and_alerts_nobody(shop, kind):
    (incident,) = observe(shop, finding(kind=kind))
    observe(shop, finding(kind=kind), at=after(30))
    assert (incident.status, incident.severity) == ("open", "low")
    assert not incident.deliveries.exists()


@pytest.mark.parametrize(
    ("kind", "cohort", "step", "effect", "lost", "severity"),
    [
        ("rate", IOS, PAYMENT, -0.2, 2.4, "high"),
        ("rate", IOS, PAYMENT, -0.2, 0.9, "high"),
        ("rate", IOS, PAYMENT, -0.6, 0.9, "critical"),
        ("rate", IOS, PAYMENT, -0.2, 0.2, "medium"),
        ("rate", IOS, ("view_item", "add_to_cart"), -0.9, 0.01, "low"),
        ("tracking", IOS, PAYMENT, -0.9, 100, "medium"),
        ("silence", EVERYONE, ("page_view", ""), -1.0, 0, "critical"),
        ("silence", IOS, ("page_view", ""), -1.0, 0, "high"),
    ],
)
def test_severity_grows_with_lost_orders_an_hour_and_with_a_broken_last_step(
    shop, kind, cohort, step, effect, lost, severity
):
    (incident,) = observe(shop, finding(kind=kind, cohort=cohort, step=step, effect=effect, lost=lost))
    assert incident.severity == severity


def test_a_quiet_tick_costs_a_handful_of_queries_however_many_series_are_off(shop, django_assert_max_num_queries):
    observe(shop, finding())
    keys = [SeriesKey("conversion", *PAYMENT, Cohort.of({"sku": str(n)})) for n in range(500)]
    with django_assert_max_num_queries(6):
        record.still(shop, "", keys, after(6))
