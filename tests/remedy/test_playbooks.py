"""Which playbook an incident gets, and what its steps say."""

from datetime import UTC, datetime, timedelta

import pytest

from funnelwatch.core.vocabulary import CHANGE_KINDS, INCIDENT_KINDS
from funnelwatch.incidents.models import Cause, Delivery, Incident
from funnelwatch.projects.models import Channel, Organisation, Project
from funnelwatch.remedy import playbooks

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)


@pytest.fixture
def incident() -> Incident:
    organisation = Organisation.objects.create(name="Loomlane")
    project = Project.objects.create(organisation=organisation, name="shop", timezone="Asia/Kolkata")
    return Incident.objects.create(
        project=project, severity="high", kind="rate", title="t", funnel="storefront", step="add_payment_info->purchase",
        metric="conversion", cohort=[{"dimension": "os", "value": "iOS"}], started_at=NOW - timedelta(minutes=4), started_lo=NOW,
        started_hi=NOW, detected_at=NOW, last_seen_at=NOW, expected=0.6, observed=0.5, interval_lo=0.4, interval_hi=0.6, effect=-0.2,
        probability=0.99,
    )  # fmt: skip


def cause(incident, kind, probability=0.8, title="CDN config 4f2c"):
    Cause.objects.create(incident=incident, rank=1, kind=kind, title=title, probability=probability)


@pytest.mark.parametrize(
    ("kind", "step", "cause_kind", "name"),
    [
        ("rate", "add_payment_info->purchase", "cdn", "config or CDN regression"),
        ("rate", "view_item->add_to_cart", "deploy", "deploy regression"),
        ("error", "add_payment_info->purchase", "payment_provider", "payment failing"),
        ("error", "add_payment_info->purchase", "unknown", "payment failing"),
        ("rate", "begin_checkout->add_shipping_info", "promo", "coupon or price fault"),
        ("rate", "view_item->add_to_cart", "stock", "stock-out"),
        ("rate", "view_item->add_to_cart", "unknown", "conversion fell"),
        ("tracking", "add_payment_info->purchase", "deploy", "tracking loss"),
        ("mix", "view_item->add_to_cart", "campaign", "traffic changed"),
        ("silence", "page_view", "unknown", "silence"),
        ("volume", "page_view", "cdn", "config or CDN regression"),
        ("volume", "page_view", "unknown", "traffic changed"),
    ],
)
def test_the_playbook_fits_the_trouble_then_the_cause_then_the_place(incident, kind, step, cause_kind, name):
    incident.kind, incident.step = kind, step
    cause(incident, cause_kind)
    assert playbooks.choose(incident) == name


def test_an_unlikely_cause_does_not_choose_the_playbook(incident):
    cause(incident, "stock", 0.2)
    assert playbooks.choose(incident) == "payment failing"


@pytest.mark.parametrize("kind", INCIDENT_KINDS)
@pytest.mark.parametrize("cause_kind", [*CHANGE_KINDS, "unknown"])
def test_every_kind_of_trouble_has_steps_in_plain_words(incident, kind, cause_kind):
    incident.kind = kind
    cause(incident, cause_kind)
    steps = playbooks.attach(incident, NOW)
    assert len([step for step in steps if not step.automatic]) >= 2
    assert not any("{" in step.title + step.detail for step in steps)


def test_steps_name_the_cohort_the_step_and_the_change(incident):
    cause(incident, "cdn")
    titles = [step.title for step in playbooks.attach(incident, NOW)]
    assert "Read what CDN config 4f2c changed, and where it reaches" in titles
    assert "Open payment → order as iOS with an empty cache" in titles


def test_automatic_steps_are_done_only_when_they_happened(incident):
    channel = Channel.objects.create(project=incident.project, kind="slack", name="ops")
    row = Delivery.objects.create(incident=incident, channel=channel, event="opened", severity="high", dedup_key="k")
    keep, tell, *_ = playbooks.attach(incident, NOW)
    assert (keep.done_at, tell.done_at) == (NOW, None)
    row.sent_at = NOW + timedelta(minutes=1)
    row.save()
    assert playbooks.attach(incident, NOW)[1].done_at == row.sent_at


def test_where_nobody_is_to_be_told_no_step_says_so(incident):
    assert [step.title for step in playbooks.attach(incident, NOW) if step.automatic] == ["Keep the evidence"]


def test_a_later_cause_brings_its_playbook_unless_somebody_has_begun(incident):
    first = playbooks.attach(incident, NOW)
    assert first == playbooks.attach(incident, NOW)
    cause(incident, "deploy")
    assert playbooks.attach(incident, NOW)[0].playbook == "deploy regression"
    incident.playbook.filter(automatic=False).update(done_at=NOW)
    incident.causes.update(kind="stock")
    assert playbooks.attach(incident, NOW)[0].playbook == "deploy regression"
