"""What is normal: baselines fitted on the roll-ups, kept as states of the store, past incidents left out."""

from datetime import datetime, timedelta

from funnelwatch.core import children, clock
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import SeriesHistory
from funnelwatch.detect.baseline import Baseline, fit
from funnelwatch.detect.detectors import prophet_band
from funnelwatch.detect.detectors.prophet_band import Bands
from funnelwatch.incidents.models import Incident
from funnelwatch.incidents.record import ACCEPTED_AFTER
from funnelwatch.pipeline import process
from funnelwatch.pipeline.funnels import UNSEEN_DAYS, Watched, watched_funnels
from funnelwatch.pipeline.rolling import fill_history, roll_up_new
from funnelwatch.projects.models import Project
from funnelwatch.rollup import prune
from funnelwatch.store.client import Client
from funnelwatch.store.queries import rollups, states

#: What a baseline looks back on: four weeks show the week's rhythm four times; more drags old levels along.
LEARN_DAYS = 28
#: Cohorts watched, largest first, about 9 series each: what keeps a tick well under a second on two cores.
MAX_COHORTS = 300
VERSION = 2
#: Prophet is slow (a second a series), so it forecasts the whole store only, and a day is half of what it forecasts.
FORECAST_METRICS = ("conversion", "volume")
FORECAST_EVERY = timedelta(days=1)


def learn_baselines(project_id: int, bands: bool = True) -> int:
    """Fit the live baselines of a project's funnels as of now and store them; returns how many.

    Hourly, so this is also when the rows of replaced roll-ups are swept: the running minute is rolled up six times.
    """
    project = Project.objects.get(pk=project_id)
    client = process.runtime().client
    now = clock.now()
    roll_up_new(client, project)
    watched = live_funnels(client, project, now)
    for funnel in watched:
        if bands:  # not in a tick: a month of a large shop takes minutes
            minute = clock.to_minute(now)
            fill_history(client, funnel.collected, minute - LEARN_DAYS * 1_440, minute)
        learn(client, project, funnel.collected, "", now, bands)
    prune(client, project.pk)
    return len(watched)


def live_funnels(client: Client, project: Project, now: datetime) -> list[Watched]:
    """The funnels watched now."""
    until = clock.to_ms(now) + 60_000
    return watched_funnels(client, project, until - UNSEEN_DAYS * 86_400_000, until)


def learn(
    client: Client, project: Project, funnel: FunnelDef, run_id: str, now: datetime, bands: bool = True
) -> Baseline:
    """Fit one baseline on the LEARN_DAYS before `now` as known then, store it and return it.

    `bands`: forecast the whole store's series too, when the last forecast is FORECAST_EVERY old.
    """
    to_hour = clock.to_minute(now) // 60
    history = rollups.history(
        client,
        funnel,
        run_id,
        to_hour - LEARN_DAYS * 24,
        to_hour,
        excluded=_incident_windows(project, run_id, now - timedelta(days=LEARN_DAYS), now),
        as_of_minute=clock.to_minute(now),
        cohort_limit=MAX_COHORTS,
    )
    baseline = fit(history)
    states.save(client, project.pk, run_id, _name(funnel), VERSION, clock.to_ms(now), baseline.dumps())
    if bands:
        _forecast(client, project, run_id, _bands_name(funnel), history, now)
    return baseline


def _forecast(client: Client, project: Project, run_id: str, name: str, history: SeriesHistory, now: datetime) -> None:
    at = states.newest(client, project.pk, run_id, name, prophet_band.VERSION)
    if at is not None and now - clock.from_ms(at) < FORECAST_EVERY:
        return
    rows = [row for row, key in enumerate(history.keys) if not key.cohort.entries and key.metric in FORECAST_METRICS]
    fitted = children.apart(prophet_band.fit_all, history.part(rows))
    states.save(client, project.pk, run_id, name, prophet_band.VERSION, clock.to_ms(now), fitted)


_cache: dict[tuple[int, str, str], tuple[int, Baseline]] = {}
_bands: dict[tuple[int, str, str], tuple[int, Bands]] = {}


def load_baseline(client: Client, project: Project, funnel: FunnelDef, run_id: str) -> Baseline | None:
    """The newest stored baseline; the same object until a newer one is stored. None while nothing has been learned."""
    key = (project.pk, run_id, _name(funnel))
    cached = _cache.get(key)
    if cached is None or cached[0] != states.newest(client, *key, VERSION):
        found = states.load(client, *key, VERSION)
        if found is None:
            return None
        cached = _cache[key] = (found[0], Baseline.loads(found[1]))
    return cached[1]


def load_bands(client: Client, project: Project, funnel: FunnelDef, run_id: str) -> Bands:
    """The newest forecasts by series; none before the first."""
    key = (project.pk, run_id, _bands_name(funnel))
    at = states.newest(client, *key, prophet_band.VERSION)
    cached = _bands.get(key)
    if at is not None and (cached is None or cached[0] != at):
        found = states.load(client, *key, prophet_band.VERSION)
        if found is not None:
            cached = _bands[key] = (found[0], prophet_band.loads(found[1]))
    return cached[1] if cached is not None else {}


def _name(funnel: FunnelDef) -> str:
    return f"baseline:{funnel.id}:{funnel.version}"


def _bands_name(funnel: FunnelDef) -> str:
    return f"bands:{funnel.id}:{funnel.version}"


def _incident_windows(project: Project, run_id: str, since: datetime, now: datetime) -> list[tuple[int, int, Cohort]]:
    """(first minute, last minute, cohort) of incidents not accepted yet: adaptive limits must not learn the failure."""
    rows = Incident.objects.filter(project=project, run_id=run_id, started_lo__lt=now).exclude(status="false_alarm")
    ends = {incident: min(incident.resolved_at or now, incident.started_lo + ACCEPTED_AFTER) for incident in rows}
    return [
        (clock.to_minute(incident.started_lo), clock.to_minute(end), Cohort.from_json(incident.cohort))
        for incident, end in ends.items()
        if end >= since
    ]
