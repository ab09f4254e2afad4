"""One tick of the live watch, in the order of ARCHITECTURE.md's table. Replay runs `Watch.step` over the same stages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from funnelwatch.alert.deliver import deliver_due
from funnelwatch.core import clock
from funnelwatch.core.series import SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.detectors.prophet_band import Bands
from funnelwatch.detect.run import DetectState, judge
from funnelwatch.incidents import record
from funnelwatch.incidents.models import Incident
from funnelwatch.pipeline import overview, presence, process
from funnelwatch.pipeline.findings import Agenda, Desk, find
from funnelwatch.pipeline.funnels import Watched
from funnelwatch.pipeline.learning import learn_baselines, live_funnels, load_bands, load_baseline
from funnelwatch.pipeline.rolling import fill_in_passing, roll_up_new
from funnelwatch.projects.models import Project
from funnelwatch.remedy import playbooks
from funnelwatch.store.client import Client
from funnelwatch.store.queries import drained, rollups, states

#: Minutes of series a tick looks at: an hour of windows after the longest delay, and the chart's lead.
WINDOW = 240
VERSION = 1
JUDGED = "judged"


@dataclass
class Watch:
    """One funnel of one run being watched: its detectors' state and what has been diagnosed when."""

    client: Client
    project: Project
    funnel: Watched
    run_id: str
    notify: str
    state: DetectState | None = None
    saved_at: int | None = None  # when the state was stored, epoch ms
    bands: Bands = field(default_factory=dict)
    agenda: Agenda = field(default_factory=Agenda)
    memory: presence.Memory = presence.NOTHING
    quiet: bool = False  # nothing is off and no incident is running, so there is nothing to move on

    def step(
        self, baseline: Baseline, window: SeriesWindow, minute: int, at: datetime, known_until: int | None = None
    ) -> Sequence[Anomaly]:
        """Detect, fuse, diagnose, record: epoch minute `minute`, the last of `window`, at time `at`.

        Nothing after epoch minute `known_until` is judged yet: its events are still on their way into the store.
        """
        if self.state is not None and self.state.settled >= minute:
            return []
        self.state, running = judge(self.state, baseline, window, minute, self.bands, known_until)
        # The sharpest cohort recovers first; what is left of its wider traces is no news and must not reopen the incident.
        anomalies, self.memory = presence.standing(running, self.memory, window, baseline)
        if self.agenda.due(anomalies, minute):
            desk = Desk(self.client, self.project, self.funnel, self.run_id, baseline, minute)
            findings = find(desk, anomalies, window)
            self.agenda.found(findings, anomalies)
            with transaction.atomic():  # no alert goes out before its playbook is there
                for incident in record.observe(self.project, self.run_id, findings, at, self.notify):
                    playbooks.attach(incident, at)
        if anomalies or not self.quiet:
            record.still(self.project, self.run_id, [anomaly.key for anomaly in anomalies], at)
            running = Incident.objects.filter(project=self.project, run_id=self.run_id, resolved_at=None)
            self.quiet = not anomalies and not running.exists()
        return anomalies

    def keep(self, at: datetime) -> None:
        """Store the detectors' state, for the next tick wherever it runs."""
        if self.state is not None:
            self.saved_at = clock.to_ms(at)
            states.save(self.client, self.project.pk, self.run_id, _name(self.funnel), VERSION, self.saved_at, self.state.dumps())


def tick(project_id: int) -> list[Incident]:
    """Roll up what came, judge the newest closed minute, diagnose, record, write the overview, then count some of a new funnel's history.

    Safe to repeat at any time. Returns the incidents that are open. Raises StoreError, StoreUnavailable; the next tick then does the work.
    """
    project = Project.objects.get(pk=project_id)
    client = process.runtime().client
    now = clock.now()
    drained_until = drained.until(client, clock.to_ms(now))  # before the roll-up, which then has all that came until then
    roll_up_new(client, project)
    minute = clock.to_minute(now) - 1
    known_until = minute if drained_until is None else min(minute, drained_until // 60_000 - 1)
    funnels = live_funnels(client, project, now)
    for funnel in funnels:
        _tick_funnel(client, project, funnel, minute, known_until, now)
    states.save(client, project.pk, "", JUDGED, VERSION, (known_until + 1) * 60_000, b"")
    for funnel in funnels:
        fill_in_passing(client, funnel.collected, minute)
    return list(Incident.objects.filter(project=project, run_id="", resolved_at=None).order_by("-started_at"))


def deliver() -> int:
    """Send the deliveries that are due; returns how many went out."""
    return deliver_due()


_watches: dict[tuple[int, int, int], Watch] = {}


def judged_until(project_id: int) -> datetime | None:
    """The end of the newest minute that was judged; None before the first tick. Raises StoreError, StoreUnavailable."""
    at = states.newest(process.runtime().client, project_id, "", JUDGED, VERSION)
    return clock.from_ms(at) if at else None


def _tick_funnel(
    client: Client, project: Project, funnel: Watched, minute: int, known_until: int, now: datetime
) -> None:
    baseline = load_baseline(client, project, funnel.collected, "")
    if baseline is None:
        learn_baselines(project.pk, bands=False)  # the first tick does not wait for forecasts
        baseline = load_baseline(client, project, funnel.collected, "")
        if baseline is None:
            return
    watch = _resumed(client, project, funnel)
    window = rollups.window(client, funnel.collected, "", minute, WINDOW, minute, keys=baseline.keys)
    watch.bands = load_bands(client, project, funnel.collected, "")
    anomalies = watch.step(baseline, window, minute, now, known_until)
    watch.keep(now)
    overview.save(client, project, funnel, baseline, window, anomalies)


def _resumed(client: Client, project: Project, funnel: Watched) -> Watch:
    """The watch of this process, brought forward when another process has ticked since."""
    key = (project.pk, funnel.collected.id, funnel.collected.version)
    watch = _watches.get(key)
    if watch is None or watch.client is not client:
        watch = _watches[key] = Watch(client, project, funnel, "", "live")
    place = (project.pk, "", _name(funnel), VERSION)
    if states.newest(client, *place) != watch.saved_at:
        found = states.load(client, *place)
        if found is not None:
            watch.saved_at, watch.state = found[0], DetectState.loads(found[1])
    watch.project, watch.funnel = project, funnel
    return watch


def _name(funnel: Watched) -> str:
    return f"detect:{funnel.collected.id}:{funnel.collected.version}"


