"""One call a tick: the window in, the anomalies out. Live and in replay the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch import config
from funnelwatch.core.series import Floats, SeriesKey, SeriesWindow
from funnelwatch.core.signals import Anomaly
from funnelwatch.core.stats.budget import discoveries
from funnelwatch.detect import episodes, ledger, sight, wobble
from funnelwatch.detect.baseline import Baseline
from funnelwatch.detect.classify import classify
from funnelwatch.detect.delays import settling_minutes
from funnelwatch.detect.detectors import DETECTORS, Scores, Tick, load
from funnelwatch.detect.detectors.prophet_band import Band
from funnelwatch.detect.expect import LONGEST, Expectation, sums
from funnelwatch.detect.fuse import fuse
from funnelwatch.detect.pack import keys_from_json, keys_to_json, pack, unpack
from funnelwatch.detect.roster import Roster, roster

Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DetectState:
    """Where every detector stands after minute `settled`. `rows`: arrays whose first axis are `keys`, named `owner.name`."""

    settled: int
    keys: tuple[Any, ...]
    rows: Rows
    roster: Roster | None = None  # derived, never stored

    def dumps(self) -> bytes:
        """As bytes for the store."""
        return pack({"settled": self.settled, "keys": keys_to_json(self.keys)}, self.rows)

    @classmethod
    def loads(cls, data: bytes) -> "DetectState":
        """The inverse of `dumps`. Raises ValueError for anything else."""
        meta, rows = unpack(data)
        return cls(meta["settled"], keys_from_json(meta["keys"]), rows)


def judge(
    state: DetectState | None,
    baseline: Baseline,
    window: SeriesWindow,
    minute: int,
    bands: Mapping[SeriesKey, Band] = MappingProxyType({}),
    known_until: int | None = None,
) -> tuple[DetectState, list[Anomaly]]:
    """Judge epoch minute `minute`, the last of `window`, and every minute since the state's.

    Minutes whose late events are still on their way are judged provisionally and again when they have settled; judging a minute twice
    gives the same answer. `bands`: forecasts of headline series, which corroborate. `known_until`: last minute whose events are in, when
    ingest is known to lag; nothing after it is judged. Returns the next state and every series that is off now, those that were off before included.
    Raises ValueError when the window does not end with `minute`, or the state is already past it.
    """
    if len(window.minutes) == 0 or window.minutes[-1] != minute:
        raise ValueError(f"the window must end with minute {minute}")
    if state is not None and state.settled >= minute:
        raise ValueError(f"minute {minute} is settled already, the state stands after {state.settled}")
    cast = _cast(state, window, baseline)
    lag = max(settling_minutes(baseline.arrival[0]), 1)  # the newest minute is always judged provisionally, so it may be judged again
    known_until = minute if known_until is None else min(known_until, minute)
    until = min(minute - lag, known_until)
    rows, begun = _resume(state, cast, until, len(window.minutes))
    trials, hits = window.trials[cast.pick], window.hits[cast.pick]
    whole = cast.laid.over(trials, hits, window.minutes, minute, LONGEST + minute - begun - 1)
    stopped = sight.stops(trials, hits, cast.laid)[-len(whole.minutes) :]
    seen = sight.hide(whole, stopped, rows["open.blind"], known_until, cast.laid)
    ticks = _ticks(cast, rows, seen)
    settled_rows = rows
    for now in range(begun + 1, minute):
        rows, _ = _step(rows, ticks(now), last=False)
        rows = _book(rows, seen, now, cast)
        if now <= until:
            settled_rows = rows
    _, scores = _step(rows, ticks(minute), last=True)
    fused = fuse(scores)
    named = discoveries(fused.log_p, cast.log_interval)
    view = episodes.View(cast, window, seen, minute, max(until, begun), scores, fused, named, bands)
    settled_rows, anomalies = episodes.update(settled_rows, view)
    return DetectState(view.settled, cast.keys, settled_rows, cast), classify(anomalies, seen, cast, known_until)


def _cast(state: DetectState | None, window: SeriesWindow, baseline: Baseline) -> Roster:
    """The roster of last time if nothing changed, else a new one."""
    per_week = config.get_float("false_incidents_per_week")
    if state is not None and state.roster is not None and state.roster.fits(window.keys, baseline, per_week):
        return state.roster
    return roster(window.keys, baseline, per_week)


def _fresh(size: int) -> Rows:
    """Rows of series that have seen nothing."""
    rows: Rows = {f"{name}.{field}": array for name in DETECTORS for field, array in load(name).fresh(size).items()}
    rows |= {f"ledger.{field}": array for field, array in ledger.fresh(size).items()}
    rows |= {f"open.{field}": array for field, array in episodes.fresh(size).items()}
    return rows | _prefixed("wobble", wobble.fresh(size))


def _resume(state: DetectState | None, cast: Roster, until: int, width: int) -> tuple[Rows, int]:
    """Rows in the roster's order and the minute they stand after: the state's, or just before `until` where it is too old."""
    rows = _fresh(len(cast.keys))
    if state is None:
        return rows, until - 1
    if state.keys is cast.keys:
        rows = state.rows
    else:
        at = {key: index for index, key in enumerate(state.keys)}
        pairs = [(new, at[key]) for new, key in enumerate(cast.keys) if key in at]
        new, old = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        for name in rows.keys() & state.rows.keys():
            rows[name][new] = state.rows[name][old]
    skipped_to = max(state.settled, until - max(width - LONGEST, 1))
    for minute in range(state.settled + 1, min(skipped_to, state.settled + 60 * ledger.KEPT) + 1):
        rows = rows | _prefixed("ledger", ledger.add(_part(rows, "ledger"), minute, np.zeros((len(cast.keys), 3))))
    return rows, skipped_to


def _ticks(cast: Roster, rows: Rows, seen: Expectation) -> Callable[[int], Tick]:
    """Makes the tick of a minute of `seen`. What moves slowly (hours past, noise) stands for all of them as after `rows`."""
    past_hits, past_expected = ledger.look_back(_part(rows, "ledger"))
    excess = wobble.excess(_part(rows, "wobble"))

    def tick(minute: int) -> Tick:
        return Tick(
            minute=minute,
            hits=_until(seen.hits, seen, minute),
            expected=_until(seen.expected, seen, minute),
            bounded=seen.bounded,
            past_hits=past_hits,
            past_expected=past_expected,
            excess=excess,
            phi=cast.phi,
            hourly2=cast.hourly2,
            daily2=cast.daily2,
            margin=cast.margin,
        )

    return tick


def _until(values: Floats, seen: Expectation, minute: int) -> Floats:
    """The LONGEST columns of `values` that end with `minute`."""
    end = int(minute - seen.minutes[0]) + 1
    return values[:, max(end - LONGEST, 0) : end]


def _step(rows: Rows, tick: Tick, last: bool) -> tuple[Rows, dict[str, Scores]]:
    """Every detector one minute on; those without memory only at the last minute."""
    scores: dict[str, Scores] = {}
    for name in DETECTORS:
        state = _part(rows, name)
        if state or last:
            following, scores[name] = load(name).step(state, tick)
            rows = rows | _prefixed(name, following)
    return rows, scores


def _book(rows: Rows, seen: Expectation, minute: int, cast: Roster) -> Rows:
    """Add a minute to the hourly ledger, to open episodes and to what is known of the noise."""
    column = int(minute - seen.minutes[0])
    counts = np.stack([seen.hits[:, column], seen.expected[:, column], seen.due_trials[:, column]], axis=1)
    calm = rows["open.direction"] == 0
    noise = cast.phi[:, None] * (1 - seen.bounded)
    hits, expected = sums(_until(seen.hits, seen, minute)), sums(_until(seen.expected, seen, minute))
    return (
        rows
        | _prefixed("ledger", ledger.add(_part(rows, "ledger"), minute, counts))
        | _prefixed("open", episodes.book(_part(rows, "open"), minute, counts, cast.phi))
        | _prefixed("wobble", wobble.learn(_part(rows, "wobble"), hits, expected, noise, calm))
    )


def _part(rows: Rows, owner: str) -> Rows:
    start = owner + "."
    return {name.removeprefix(start): array for name, array in rows.items() if name.startswith(start)}


def _prefixed(owner: str, part: Rows) -> Rows:
    return {f"{owner}.{name}": array for name, array in part.items()}
