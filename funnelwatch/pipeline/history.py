"""The minute jobs over stored history on a simulated clock: a pilot on old data, a backtest, the benchmark.

The world is seen as it was: an event exists from its receipt, a change from when it was known. The stages are those of the live
watch; only the series come in day-sized reads instead of one query a minute.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from funnelwatch import config
from funnelwatch.core import clock
from funnelwatch.core.series import SeriesWindow
from funnelwatch.detect.baseline import Baseline
from funnelwatch.incidents.contract import to_json
from funnelwatch.incidents.models import Delivery, Incident
from funnelwatch.pipeline import process
from funnelwatch.pipeline.funnels import Watched, watched_funnels
from funnelwatch.pipeline.learning import learn, live_funnels, load_bands
from funnelwatch.pipeline.rolling import DAY, Progress, roll_up_new
from funnelwatch.pipeline.watch import WINDOW, Watch, tick
from funnelwatch.projects.models import Project
from funnelwatch.rollup import forget_run, roll_up
from funnelwatch.store.client import Client
from funnelwatch.store.queries import names, rollups, states, sweep

#: A project has one replay; running it again replaces it.
RUN_ID = "replay"


class NothingToReplay(Exception):
    """There is no history, or none after the part needed to learn from; the message says which."""


def replay(
    project: Project, start: datetime | None, end: datetime | None, notify: str, progress: Progress
) -> dict[str, Any]:
    """Replay [start, end) (aware; defaults: 14 days after the first event, the last event).

    Returns `{"project", "from", "to", "incidents"}`. `notify` "none" writes no deliveries, "record" writes them as sent, "live"
    sends them. Raises NothingToReplay, StoreError.
    """
    client = process.runtime().client
    first, begin, stop = _span(client, project, start, end)
    Incident.objects.filter(project=project, run_id=RUN_ID).delete()
    states.forget(client, project.pk, RUN_ID)
    forget_run(client, project.pk, RUN_ID)
    for funnel in watched_funnels(client, project, first * 60_000, stop * 60_000):
        _roll_up(client, funnel, first, stop, progress)
        _Run(Watch(client, project, funnel, RUN_ID, notify), progress).over(begin, stop)
    incidents = Incident.objects.filter(project=project, run_id=RUN_ID).order_by("started_at", "pk")
    return {
        "project": project.name,
        "from": clock.from_minute(begin).isoformat(),
        "to": clock.from_minute(stop).isoformat(),
        "incidents": [to_json(incident) for incident in incidents],
    }


def replaced(project: Project, start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """`{"project", "from", "to", "replaced"}`: what `replay` of the same times would take out first, as `{incidents, judged, deliveries, table: rows}`.

    `judged` are the incidents people have given a verdict on. Raises NothingToReplay, StoreError.
    """
    client = process.runtime().client
    _, begin, stop = _span(client, project, start, end)
    incidents = Incident.objects.filter(project=project, run_id=RUN_ID)
    return {
        "project": project.name,
        "from": clock.from_minute(begin).isoformat(),
        "to": clock.from_minute(stop).isoformat(),
        "replaced": {
            "incidents": incidents.count(),
            "judged": incidents.exclude(feedback=None).distinct().count(),
            "deliveries": Delivery.objects.filter(incident__in=incidents).count(),
            **sweep.rows_of_run(client, project.pk, RUN_ID),
        },
    }


def watch_past(project: Project, start: datetime, end: datetime, progress: Progress) -> int:
    """Watch [start, end) as the live ticks would have, had they been running; returns how many incidents are open then.

    The last minute is a live tick, which writes the overview. Raises StoreError.
    """
    client = process.runtime().client
    with clock.at(end):
        roll_up_new(client, project)
        for funnel in live_funnels(client, project, end):
            watch = Watch(client, project, funnel, "", "live")
            _Run(watch, progress).over(clock.to_minute(start), clock.to_minute(end) - 1)
            watch.keep(end)
        return len(tick(project.pk))


def _span(client: Client, project: Project, start: datetime | None, end: datetime | None) -> tuple[int, int, int]:
    """Epoch minutes: first event, first replayed, end."""
    span = names.span(client, project.pk)
    if span is None:
        raise NothingToReplay(f"project {project.name} has no events yet; import some first")
    first, last = span[0] // 60_000, span[1] // 60_000 + 1
    learned = clock.from_ms(span[0]) + timedelta(days=config.get_int("history_days"))
    begin = clock.to_minute(start or learned)
    stop = min(clock.to_minute(end), last) if end else last
    if begin >= stop:
        raise NothingToReplay(
            f"the history of {project.name} ends {clock.from_minute(stop):%Y-%m-%d %H:%M}, before the replay would begin "
            f"({clock.from_minute(begin):%Y-%m-%d %H:%M}); give --from"
        )
    return first, begin, stop


def _roll_up(client: Client, funnel: Watched, first: int, stop: int, progress: Progress) -> None:
    for day in range(first, stop, DAY):
        roll_up(client, funnel.collected, RUN_ID, day, min(day + DAY, stop))
        progress("Rolling up", min(day + DAY, stop) - first, stop - first, min(day + DAY, stop) - first, "minutes")


class _Run:
    """One funnel's way through simulated time, a day a read."""

    def __init__(self, watch: Watch, progress: Progress) -> None:
        self._watch, self._progress = watch, progress
        self._client, self._project, self._funnel, self._run_id = watch.client, watch.project, watch.funnel.collected, watch.run_id

    def over(self, begin: int, stop: int) -> None:
        """Minutes [begin, stop). What is normal is learned anew at the start of each day."""
        day = begin
        while day < stop:
            end = min((day // DAY + 1) * DAY, stop)
            with clock.at(clock.from_minute(day)):
                baseline = learn(self._client, self._project, self._funnel, self._run_id, clock.now())
                self._watch.bands = load_bands(self._client, self._project, self._funnel, self._run_id)
            self._day(baseline, day, end, lambda done: self._progress("Replaying", done - begin, stop - begin, done - begin, "minutes"))
            day = end

    def _day(self, baseline: Baseline, begin: int, end: int, report: Callable[[int], None]) -> None:
        funnel, run_id, keys = self._funnel, self._run_id, baseline.keys
        before = rollups.window(self._client, funnel, run_id, begin - 1, WINDOW, begin - 1, keys=keys)
        minutes = np.arange(begin - WINDOW, end)
        trials, hits = (np.hstack([array, np.zeros((len(keys), end - begin))]) for array in (before.trials, before.hits))
        trials[[key.metric == "volume" for key in keys]] = 1.0
        news = rollups.increments(self._client, funnel, run_id, begin - WINDOW, end, keys=keys)
        bounds = np.searchsorted(news.known_minute, np.arange(begin, end + 1))
        for minute in range(begin, end):
            arrived = slice(bounds[minute - begin], bounds[minute - begin + 1])
            cell = (news.series[arrived], news.minute[arrived] - (begin - WINDOW))
            np.add.at(trials, cell, news.trials[arrived])
            np.add.at(hits, cell, news.hits[arrived])
            column = minute - begin + WINDOW + 1
            part = slice(column - WINDOW, column)
            window = SeriesWindow(keys, minutes[part], trials[:, part], hits[:, part])
            at = clock.from_minute(minute + 1)
            with clock.at(at):
                self._watch.step(baseline, window, minute, at)
            report(minute + 1)
