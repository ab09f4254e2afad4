"""What is learned while an incident runs: the failure is not, a level that has come to stay is."""

from datetime import UTC, datetime, timedelta

import pytest

from funnelwatch import pipeline
from funnelwatch.core import clock
from funnelwatch.core.cohort import EVERYONE
from funnelwatch.core.events import Event
from funnelwatch.core.series import SeriesKey
from funnelwatch.incidents.models import Incident
from funnelwatch.pipeline.learning import learn
from funnelwatch.projects.models import Funnel, Organisation, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FIRST = NOW - timedelta(days=21)
USUAL, MORE = 4, 12  # visits an hour


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "lowest", "highest"), [(2, USUAL * 0.9, USUAL * 1.1), (7, MORE * 0.6, MORE)])
def test_a_trouble_of_days_is_not_learned_and_one_of_a_week_is_the_new_level(
    project_id: int, days: int, lowest: float, highest: float
) -> None:
    shift = NOW - timedelta(days=days)
    shop = Project.objects.create(pk=project_id, organisation=Organisation.objects.create(name="x"), name=f"shop{project_id}")
    steps = [{"name": name, "events": [name], "filters": []} for name in ("view_item", "purchase")]
    funnel = Funnel.objects.create(project=shop, steps=steps).definition()
    client = pipeline.runtime().client
    events.insert(client, visits(project_id, shift), f"learning-{project_id}")
    roll_up(client, funnel, "", clock.to_minute(FIRST), clock.to_minute(NOW))
    Incident.objects.create(
        project=shop, title="Traffic rose", kind="volume", severity="low", step="view_item", metric="volume", funnel="storefront",
        started_at=shift, started_lo=shift, started_hi=shift, detected_at=shift, last_seen_at=NOW,
        expected=USUAL, observed=MORE, interval_lo=MORE, interval_hi=MORE, effect=MORE / USUAL - 1, probability=1.0,
    )  # fmt: skip

    baseline = learn(client, shop, funnel, "", NOW, bands=False)
    row = baseline.keys.index(SeriesKey("volume", "view_item", "", EVERYONE))
    assert lowest <= baseline.rate[row].mean() * 60 <= highest


def visits(shop_id: int, shift: datetime) -> list[Event]:
    return [
        Event(project_id=shop_id, message_id=f"{ts}", name="view_item", ts=ts, received_at=ts, visitor_id=f"{ts}")
        for hour in range(21 * 24)
        for at in [FIRST + timedelta(hours=hour)]
        for number in range(MORE if at >= shift else USUAL)
        for ts in [clock.to_ms(at) + number * 300_000]
    ]  # fmt: skip
