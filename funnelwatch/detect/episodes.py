"""Open, carry on, close: a series that is off stays one anomaly until it is back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats, SeriesKey, SeriesWindow
from funnelwatch.core.signals import Anomaly, Signal
from funnelwatch.core.stats import recovery
from funnelwatch.core.stats.counts import count_interval, rate_interval
from funnelwatch.detect import fuse, ledger, onset
from funnelwatch.detect.detectors import Scores, changepoint, prophet_band
from funnelwatch.detect.detectors.prophet_band import Band
from funnelwatch.detect.expect import Expectation
from funnelwatch.detect.roster import Roster

#: Deviations smaller than this, or of fewer hits, are true perhaps and not worth a page.
MIN_EFFECT = 0.05
MIN_HITS_OFF = 5.0
#: Back inside for this long before an anomaly ends, however clear the numbers.
BACK_MINUTES = 10
#: The recovery test takes the trouble for at least this large: against a smaller one "back" could not be shown in a day.
RECOVERY_EFFECT = 0.2
#: The onset is dated anew this long after opening, since every minute tells more; then it stands.
DATING_MINUTES = 30

Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class View:
    """What a tick knows when it comes to opening and closing. `seen`: the last minutes as the detectors saw them."""

    cast: Roster
    window: SeriesWindow
    seen: Expectation
    minute: int
    settled: int
    scores: Mapping[str, Scores]
    fused: fuse.Fused
    named: NDArray[np.bool_]
    bands: Mapping[SeriesKey, Band]


def fresh(size: int) -> Rows:
    """`direction` 0 = not open. `sums` (U, 3): settled hits, expected, trials since `onset`. `blind`: judge nothing up to this minute."""
    return {
        "direction": np.zeros(size, dtype=np.int8),
        "onset": np.zeros(size, dtype=np.int64),
        "low": np.zeros(size, dtype=np.int64),
        "high": np.zeros(size, dtype=np.int64),
        "opened": np.zeros(size, dtype=np.int64),
        "sums": np.zeros((size, 3)),
        "log_p": np.zeros(size),
        "back": np.zeros(size),
        "back_since": np.zeros(size, dtype=np.int64),
        "blind": np.full(size, -1, dtype=np.int64),
    }


def book(state: Mapping[str, NDArray[Any]], minute: int, counts: Floats, phi: Floats) -> Rows:
    """One settled minute of (U, 3) counts into the open episodes: their sums and the evidence that they are over."""
    running = state["direction"] != 0
    if not running.any():
        return dict(state)
    sums = state["sums"] + np.where(running[:, None], counts, 0.0)
    ratio = _trouble(sums[:, ledger.HITS] / np.maximum(sums[:, ledger.EXPECTED], 1e-9), state["direction"])
    back = np.where(running, recovery.evidence(state["back"], counts[:, ledger.HITS], counts[:, ledger.EXPECTED], ratio, phi), 0.0)
    since = np.where((back > 0) & (state["back"] > 0), state["back_since"], minute)
    return {**state, "sums": sums, "back": back, "back_since": since}


def update(rows: Rows, view: View) -> tuple[Rows, list[Anomaly]]:
    """Close what is back, open what is newly off, and describe all that is open."""
    state = {name.removeprefix("open."): array.copy() for name, array in rows.items() if name.startswith("open.")}
    closing = np.flatnonzero(
        (state["direction"] != 0) & (state["back"] >= recovery.RECOVERED_AT) & (view.settled - state["back_since"] >= BACK_MINUTES)
    )
    rows = _close(rows, state, closing, view.settled)
    newly = np.flatnonzero(view.named & (state["direction"] == 0) & (state["blind"] < view.settled))
    young = np.flatnonzero((state["direction"] != 0) & (view.minute - state["opened"] <= DATING_MINUTES))
    fresh_sums, over = _date(rows, state, np.union1d(newly, young), newly, view)
    rows = _close(rows, state, over, view.settled)
    anomalies = [
        _describe(state, int(row), fresh_sums.get(int(row), np.zeros(3)), view) for row in np.flatnonzero(state["direction"])
    ]
    return rows | {f"open.{name}": array for name, array in state.items()}, anomalies


def _close(rows: Rows, state: Rows, closing: NDArray[np.int64], settled: int) -> Rows:
    """Forget what led here, so that the episode's own minutes cannot open it again."""
    if not len(closing):
        return rows
    state["direction"][closing] = 0
    state["back"][closing] = 0.0
    state["blind"][closing] = settled
    rows = dict(rows)
    for name, array in rows.items():
        if not name.startswith(("open.", "wobble.")):
            rows[name] = array.copy()
            rows[name][closing] = 0
    return rows


def _date(
    rows: Rows, state: Rows, dated: NDArray[np.int64], newly: NDArray[np.int64], view: View
) -> tuple[dict[int, Floats], NDArray[np.int64]]:
    """Date (again) the onset of the given rows; open those of `newly` that are large enough and not over.

    Returns unsettled sums by row, and the rows that are over: hours of a fault that has ended weigh on slow series long after.
    """
    running = np.flatnonzero(state["direction"])
    wanted = np.union1d(dated, running)
    if not len(wanted):
        return {}, wanted
    laid, window = view.cast.laid.only(wanted), view.window
    pick = view.cast.pick[wanted]
    depth = max(len(window.minutes) - laid.pmf.shape[1] + 1, 1)
    seen = laid.over(window.trials[pick], window.hits[pick], window.minutes, view.minute, depth)
    counts = np.stack([seen.hits, seen.expected, seen.due_trials], axis=2)  # (rows, minutes, 3)
    unsettled = seen.minutes > view.settled
    opening = set(newly.tolist())
    over = []
    for index, row in enumerate(wanted):
        if row not in dated:
            continue
        starts, sums = _timeline(rows, int(row), seen.minutes, counts[index])
        visible = (starts > state["blind"][row]) & (np.cumsum(sums[:, ledger.EXPECTED]) > 0)  # not before anything was watched
        starts, sums = starts[visible], sums[visible]
        direction = int(view.fused.direction[row]) if row in opening else int(state["direction"][row])
        found = onset.date(starts, sums[:, ledger.HITS], sums[:, ledger.EXPECTED], direction, float(view.cast.phi[row]))
        total = sums[found.position :].sum(axis=0)
        if row in opening and not _matters(total):
            continue
        if row in opening and _is_over(sums[found.position :], direction, float(view.cast.phi[row])):
            over.append(row)
            continue
        if row in opening:
            state["direction"][row], state["opened"][row] = direction, view.minute
            state["log_p"][row], state["back"][row], state["back_since"][row] = 0.0, 0.0, view.settled
        state["onset"][row], state["low"][row], state["high"][row] = found.minute, found.low, found.high
        state["sums"][row] = total - counts[index][unsettled & (seen.minutes >= found.minute)].sum(axis=0)
    fresh_sums = {int(row): counts[index][unsettled].sum(axis=0) for index, row in enumerate(wanted)}
    return fresh_sums, np.array(over, dtype=np.int64)


def _timeline(rows: Rows, row: int, minutes: NDArray[np.int64], counts: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Bucket starts and (N, 3) sums: hours of the ledger before the first full hour of the window, then minutes."""
    first = -(-int(minutes[0]) // 60) * 60
    from_minute = int(first - minutes[0]) if first <= minutes[-1] else 0
    newest_hour = int(minutes[-1]) // 60 * 60
    hours = ledger.hours({name.removeprefix("ledger."): array for name, array in rows.items() if name.startswith("ledger.")}, row)
    starts = newest_hour - 60 * np.arange(len(hours), 0, -1)
    older = starts + 60 <= minutes[from_minute]
    return (
        np.concatenate([starts[older], minutes[from_minute:]]),
        np.concatenate([hours[older], counts[from_minute:]]),
    )


def _matters(total: Floats) -> bool:
    hits, expected = total[ledger.HITS], total[ledger.EXPECTED]
    return bool(abs(hits - expected) >= max(MIN_HITS_OFF, MIN_EFFECT * expected))


def _is_over(since: Floats, direction: int, phi: float) -> bool:
    """Whether the trouble that began with the (N, 3) counts ended among them: the recovery test, from wherever it says most."""
    hits, expected = np.cumsum(since[:, ledger.HITS]), np.cumsum(since[:, ledger.EXPECTED])
    ratio = _trouble(hits / np.maximum(expected, 1e-9), np.asarray(direction))
    nats = recovery.evidence(np.zeros(len(hits)), hits[-1] - hits, expected[-1] - expected, ratio, phi)
    return bool(nats.max() >= recovery.RECOVERED_AT)


def _trouble(ratio: Floats, direction: NDArray[Any]) -> Floats:
    """Hits over expected during the trouble, taken for no smaller a trouble than RECOVERY_EFFECT."""
    return np.where(direction < 0, np.minimum(ratio, 1 - RECOVERY_EFFECT), np.maximum(ratio, 1 + RECOVERY_EFFECT))


def _describe(state: Rows, row: int, unsettled: Floats, view: View) -> Anomaly:
    hits, expected, trials = state["sums"][row] + unsettled
    trials = max(float(trials), 1e-9)
    log_interval = view.cast.log_interval
    state["log_p"][row] = min(state["log_p"][row], view.fused.log_p[row])
    shared = np.log(max(int(view.named.sum()), 1))  # k series off together need a k-th of the evidence each
    phi = float(view.cast.phi[row])
    if view.cast.laid.binomial[row]:
        low, high = rate_interval(float(hits), trials, phi)
    else:
        low, high = (bound / trials for bound in count_interval(float(hits), phi))
    return Anomaly(
        key=view.cast.keys[row],
        minute=view.minute,
        onset=int(state["onset"][row]),
        onset_interval=(int(state["low"][row]), int(state["high"][row])),
        expected=float(expected) / trials,
        observed=float(hits) / trials,
        interval=(low, high),
        effect=float(hits / max(expected, 1e-9) - 1),
        probability=float(fuse.probability(state["log_p"][row], log_interval[row] - shared)),
        missing=float(expected - hits),
        trials=trials,
        kind={"errors": "error", "volume": "volume"}.get(view.cast.keys[row].metric, "rate"),  # type: ignore[arg-type]
        signals=fuse.signals(view.scores, row, float(log_interval[row]), view.minute) + _slow_signals(state, row, view),
    )


def _slow_signals(state: Rows, row: int, view: View) -> tuple[Signal, ...]:
    """What the slow tier says of an open series: the changepoint every five minutes while its onset is being dated, the forecast band at any time."""
    key, seen = view.cast.keys[row], view.seen
    found = []
    age = view.minute - int(state["opened"][row])
    if age <= DATING_MINUTES and age % 5 == 0:
        found.append(changepoint.signal(seen.minutes, seen.hits[row], seen.expected[row], float(view.cast.phi[row])))
    if key in view.bands:
        found.append(prophet_band.signal(view.bands[key], view.minute, seen.hits[row], seen.due_trials[row]))
    return tuple(signal for signal in found if signal is not None)
