"""Series read from the minute roll-ups: a window for the tick, hours to learn from, increments for a replay.

All three build the same series in the same order: for every cohort the conversions of adjacent steps, the volume of every step and the
error classes seen at each step. A cohort's names travel once; the millions of rows carry its hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch import config
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import Floats, SeriesHistory, SeriesKey, SeriesWindow
from funnelwatch.core.vocabulary import ERROR_EVENTS
from funnelwatch.store.client import Arrays, Client
from funnelwatch.store.queries.journey import Scope
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, SEPARATOR, parameters

#: The arrival curve ends here: an event a day late says nothing about the last minutes.
LATE_MINUTES = 1_440
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Increments:
    """What became known when: at `known_minute`, `trials` and `hits` were added to series `keys[series]` at `minute`. Sorted by `known_minute`."""

    keys: tuple[SeriesKey, ...]
    known_minute: Ints
    minute: Ints
    series: Ints
    trials: Floats
    hits: Floats


def window(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    until_minute: int,
    minutes: int,
    as_of_minute: int | None = None,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> SeriesWindow:
    """The last `minutes` minutes up to and including `until_minute`, as known at the end of `as_of_minute` (None: all known now).

    `keys` fixes the series (those without data are zero); else the `cohort_limit` largest cohorts of the window are taken.
    """
    scope = Scope(funnel, run_id, until_minute + 1 - minutes, until_minute + 1)
    rows = _Rows.read(client, scope, as_of_minute, per=1)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    trials, hits = rows.fill(chosen, scope.from_minute, minutes)
    return SeriesWindow(chosen, np.arange(scope.from_minute, scope.to_minute, dtype=np.int64), trials, hits)


def history(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_hour: int,
    to_hour: int,
    excluded: Sequence[tuple[int, int, Cohort]] = (),
    as_of_minute: int | None = None,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> SeriesHistory:
    """Hours [from_hour, to_hour) since the epoch. `excluded` are (first minute, last minute, cohort) not to learn from."""
    scope = Scope(funnel, run_id, from_hour * 60, to_hour * 60)
    rows = _Rows.read(client, scope, as_of_minute, per=60)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    size = to_hour - from_hour
    trials, hits = rows.fill(chosen, from_hour, size)
    converted, delays = _conversions(client, scope, as_of_minute, rows, chosen)
    return SeriesHistory(
        keys=chosen,
        hours=np.arange(from_hour, to_hour, dtype=np.int64),
        trials=trials,
        hits=hits,
        converted=converted,
        delays=delays,
        learn=_learnable(rows, chosen, excluded, from_hour, size),
        late=_late(client, scope, as_of_minute),
    )


def increments(
    client: Client,
    funnel: FunnelDef,
    run_id: str,
    from_minute: int,
    to_minute: int,
    cohort_limit: int | None = None,
    keys: Sequence[SeriesKey] | None = None,
) -> Increments:
    """Everything that happened in [from_minute, to_minute), in the order it became known: a replay's day in one read."""
    scope = Scope(funnel, run_id, from_minute, to_minute)
    rows = _Rows.read(client, scope, None, per=1, with_lag=True)
    chosen = tuple(keys) if keys is not None else rows.keys(cohort_limit)
    series, row, is_hit = rows.placed(chosen)
    at, lag, count = rows.at[row], rows.lag[row], rows.count[row]
    order = np.argsort(at + lag, kind="stable")
    series, at, lag, count, is_hit = (values[order] for values in (series, at, lag, count, is_hit))
    return Increments(chosen, at + lag, at, series, np.where(is_hit, 0.0, count), np.where(is_hit, count, 0.0))


@dataclass
class _Rows:
    """Counts by (cohort, step, error class, time bin): arrivals where `error` is -1, else events of ERROR_EVENTS[error]."""

    funnel: FunnelDef
    cohorts: dict[int, Cohort]
    cohort: NDArray[np.uint64]
    step: Ints
    error: Ints
    at: Ints
    lag: Ints
    count: Floats

    @classmethod
    def read(cls, client: Client, scope: Scope, as_of: int | None, per: int, with_lag: bool = False) -> "_Rows":
        """`per` minutes a bin."""
        params = {**parameters(scope), "as_of": _as_of(as_of), "errors": list(ERROR_EVENTS)}
        lag = "toInt64(lag)" if with_lag else "toInt64(0)"
        known = "minute + lag <= {as_of:UInt32}"
        arrivals = client.arrays(
            f"""
            SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no, toInt64(-1) AS error,
                toInt64(intDiv(minute, {per})) AS at, {lag} AS late, toFloat64(sum(entered)) AS n
            FROM funnel_minute WHERE {OF_FUNNEL} AND {known} AND {COMMITTED}
            GROUP BY cohort, step_no, at, late
            """,
            params,
        )
        errors = client.arrays(
            f"""
            SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no,
                toInt64(indexOf({{errors:Array(String)}}, name)) - 1 AS error,
                toInt64(intDiv(minute, {per})) AS at, {lag} AS late, toFloat64(sum(events)) AS n
            FROM event_minute
            WHERE {OF_FUNNEL} AND {known} AND step > 0 AND name IN {{errors:Array(String)}} AND {COMMITTED}
            GROUP BY cohort, step_no, error, at, late
            """,
            params,
        )
        both = {name: np.concatenate([arrivals[name], errors[name]]) for name in arrivals}
        return cls(
            scope.funnel, _cohort_names(client, scope), both["cohort"].astype(np.uint64), both["step_no"].astype(np.int64),
            both["error"].astype(np.int64), both["at"].astype(np.int64), both["late"].astype(np.int64), both["n"].astype(np.float64),
        )  # fmt: skip

    def keys(self, cohort_limit: int | None) -> tuple[SeriesKey, ...]:
        """The series of the largest cohorts (everyone first), largest first; of errors those that occurred."""
        limit = config.get_int("max_series") if cohort_limit is None else cohort_limit
        arrived = self.error < 0
        hashes, index = np.unique(self.cohort[arrived], return_inverse=True)
        total = np.bincount(index, weights=self.count[arrived], minlength=len(hashes))
        names = [self.cohorts[int(value)] for value in hashes]
        ranked = sorted(range(len(names)), key=lambda i: (bool(names[i].entries), -total[i], names[i]))[:limit]
        seen = {(int(c), int(s), int(e)) for c, s, e in np.unique(self._triples(), axis=0)}
        steps = [step.name for step in self.funnel.steps]
        keys: list[SeriesKey] = []
        for i in ranked:
            code, cohort = int(hashes[i]), names[i]
            keys += [SeriesKey("conversion", a, b, cohort) for a, b in self.funnel.pairs]
            keys += [SeriesKey("volume", step, "", cohort) for step in steps]
            keys += [
                SeriesKey("errors", step, "".join(steps[k : k + 1]), cohort, error)
                for k, step in enumerate(steps, 1)
                for e, error in enumerate(ERROR_EVENTS)
                if (code, k, e) in seen
            ]
        return tuple(keys)

    def placed(self, keys: Sequence[SeriesKey]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """For every (series, row) that belong together: series index, row index, whether the row counts as hits."""
        code_of = {cohort: code for code, cohort in self.cohorts.items()}
        order, starts = self._sorted()
        series: list[Ints] = []
        rows: list[Ints] = []
        is_hit: list[NDArray[np.bool_]] = []
        for i, key in enumerate(keys):
            code = code_of.get(key.cohort)
            for step, error, hit in () if code is None else self._sources(key):
                begin, end = starts.get((code, step, error), (0, 0))
                series.append(np.full(end - begin, i))
                rows.append(order[begin:end])
                is_hit.append(np.full(end - begin, hit))
        if not series:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
        return np.concatenate(series), np.concatenate(rows), np.concatenate(is_hit)

    def fill(self, keys: Sequence[SeriesKey], first: int, size: int) -> tuple[Floats, Floats]:
        """(S, size) trials and hits, the first column being time bin `first`."""
        series, row, is_hit = self.placed(keys)
        cell = series * size + (self.at[row] - first)
        count = self.count[row]
        trials, hits = (
            np.bincount(cell[mask], weights=count[mask], minlength=len(keys) * size).reshape(len(keys), size)
            for mask in (~is_hit, is_hit)
        )
        trials[[key.metric == "volume" for key in keys]] = 1.0
        return trials, hits

    def _sources(self, key: SeriesKey) -> list[tuple[int, int, bool]]:
        """Which (step, error) rows a series counts, and whether as hits."""
        number = {step.name: k for k, step in enumerate(self.funnel.steps, 1)}
        start = number.get(key.step_from, 0)
        if key.metric == "conversion":
            return [(start, -1, False), (number.get(key.step_to, 0), -1, True)]
        if key.metric == "errors":
            return [(start, -1, False), (start, ERROR_EVENTS.index(key.error), True)]
        if key.metric == "volume":
            return [(start, -1, True)]
        raise ValueError(f"the minute roll-ups hold no {key.metric} series")

    def _triples(self) -> NDArray[np.uint64]:
        return np.stack([self.cohort, self.step.astype(np.uint64), self.error.astype(np.uint64)], axis=1)

    def _sorted(self) -> tuple[Ints, dict[tuple[int, int, int], tuple[int, int]]]:
        """Row order by (cohort, step, error) and where each of them begins and ends in it."""
        order = np.lexsort((self.error, self.step, self.cohort))
        columns = (self.cohort[order], self.step[order], self.error[order])
        changed = np.zeros(len(order) + 1, bool)
        changed[[0, -1]] = True
        for column in columns:
            changed[1:-1] |= column[1:] != column[:-1]
        edges = np.flatnonzero(changed)
        cohort, step, error = columns
        return order, {
            (int(cohort[a]), int(step[a]), int(error[a])): (int(a), int(b))
            for a, b in zip(edges[:-1], edges[1:], strict=True)
            if len(order)
        }


def cohort_of(dims: str, value: str) -> Cohort:
    """The cohort of a roll-up row: `'os,browser'`, `'iOS\\x1fSafari'`."""
    return Cohort.of(zip(dims.split(","), value.split(SEPARATOR), strict=True)) if dims else Cohort()


def _cohort_names(client: Client, scope: Scope) -> dict[int, Cohort]:
    rows = client.query(
        f"SELECT DISTINCT cityHash64(dims, value), dims, value FROM funnel_minute WHERE {OF_FUNNEL}", parameters(scope)
    )
    return {code: cohort_of(dims, value) for code, dims, value in rows}


def _conversions(
    client: Client, scope: Scope, as_of: int | None, rows: _Rows, keys: Sequence[SeriesKey]
) -> tuple[Floats, Floats]:
    """(S, H) conversions by hour of the trial, and (S, D) by minutes from step to step."""
    hours, bins = (scope.to_minute - scope.from_minute) // 60, scope.funnel.window_minutes + 1
    found = client.arrays(
        f"""
        SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no, toInt64(delay) AS wait,
            toInt64(intDiv(minute - delay, 60)) AS hour, toFloat64(sum(entered)) AS n
        FROM funnel_minute
        WHERE {OF_FUNNEL} AND step > 1 AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED}
        GROUP BY cohort, step_no, wait, hour
        """,
        {**parameters(scope), "as_of": _as_of(as_of)},
    )
    number = {step.name: k for k, step in enumerate(scope.funnel.steps, 1)}
    code_of = {cohort: code for code, cohort in rows.cohorts.items()}
    converted, delays = np.zeros((len(keys), hours)), np.zeros((len(keys), bins))
    by_pair = _Rows(
        scope.funnel, rows.cohorts, found["cohort"].astype(np.uint64), found["step_no"].astype(np.int64),
        np.full(len(found["n"]), -1), found["hour"].astype(np.int64), found["wait"].astype(np.int64), found["n"].astype(np.float64),
    )  # fmt: skip
    order, starts = by_pair._sorted()
    for i, key in enumerate(keys):
        if key.metric != "conversion":
            continue
        begin, end = starts.get((code_of.get(key.cohort, -1), number.get(key.step_to, 0), -1), (0, 0))
        mine = order[begin:end]
        hour, count = by_pair.at[mine] - scope.from_minute // 60, by_pair.count[mine]
        inside = hour >= 0
        converted[i] = np.bincount(hour[inside], weights=count[inside], minlength=hours)
        delays[i] = np.bincount(np.minimum(by_pair.lag[mine], bins - 1), weights=count, minlength=bins)
    return converted, delays


def _learnable(
    rows: _Rows, keys: Sequence[SeriesKey], excluded: Sequence[tuple[int, int, Cohort]], first: int, size: int
) -> NDArray[np.bool_]:
    """False before the step's events began to be collected and inside past incidents of overlapping cohorts."""
    learn = np.ones((len(keys), size), bool)
    began = {
        step.name: int(rows.at[(rows.step == k) & (rows.error < 0)].min(initial=first + size)) - first
        for k, step in enumerate(rows.funnel.steps, 1)
    }
    for i, key in enumerate(keys):
        learn[i, : max(began.get(name, 0) for name in (key.step_from, key.step_to))] = False
        for start, end, cohort in excluded:
            if _overlap(key.cohort, cohort):
                learn[i, max(0, start // 60 - first) : max(0, end // 60 - first + 1)] = False
    return learn


def _overlap(one: Cohort, other: Cohort) -> bool:
    """Whether a session can be in both."""
    shared = set(one.dimensions) & set(other.dimensions)
    return all(set(one.values(dimension)) & set(other.values(dimension)) for dimension in shared)


def _late(client: Client, scope: Scope, as_of: int | None) -> Floats:
    found = client.arrays(
        f"""
        SELECT toInt64(least(lag, {LATE_MINUTES})) AS late, toFloat64(sum(entered)) AS n FROM funnel_minute
        WHERE {OF_FUNNEL} AND dims = '' AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED} GROUP BY late
        """,
        {**parameters(scope), "as_of": _as_of(as_of)},
    )
    return np.bincount(found["late"].astype(np.int64), weights=found["n"].astype(np.float64), minlength=LATE_MINUTES + 1)


def _as_of(minute: int | None) -> int:
    return 2**32 - 1 if minute is None else minute


__all__ = ["Arrays", "Increments", "cohort_of", "history", "increments", "window"]
