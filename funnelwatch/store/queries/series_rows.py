"""Counts by series and time bin, between the roll-up tables and the arrays detection takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from funnelwatch import config
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.series import Floats, SeriesKey
from funnelwatch.core.vocabulary import ERROR_EVENTS
from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, SEPARATOR, parameters
from funnelwatch.store.scope import Scope

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class SeriesRows:
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
    def read(cls, client: Client, scope: Scope, until: int | None, per: int, with_lag: bool = False) -> "SeriesRows":
        """`per` minutes a bin."""
        params = {**parameters(scope), "as_of": known_by(until), "errors": list(ERROR_EVENTS)}
        lag = "lag" if with_lag else "0"
        known = "minute + lag <= {as_of:UInt32}"
        arrivals = client.arrays(
            f"""
            SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no, toInt64(-1) AS error,
                toInt64(at) AS at, toInt64(late) AS late, toFloat64(n) AS n
            FROM (
                SELECT dims, value, step, intDiv(minute, {per}) AS at, {lag} AS late, sum(entered) AS n
                FROM funnel_minute WHERE {OF_FUNNEL} AND {known} AND {COMMITTED} GROUP BY at, dims, value, step, late
            ) {_IN_ORDER}
            """,
            params,
        )
        errors = client.arrays(
            f"""
            SELECT cityHash64(dims, value) AS cohort, toInt64(step) AS step_no,
                toInt64(indexOf({{errors:Array(String)}}, name)) - 1 AS error,
                toInt64(at) AS at, toInt64(late) AS late, toFloat64(n) AS n
            FROM (
                SELECT dims, value, step, name, intDiv(minute, {per}) AS at, {lag} AS late, sum(events) AS n
                FROM event_minute
                WHERE {OF_FUNNEL} AND {known} AND step > 0 AND name IN {{errors:Array(String)}} AND {COMMITTED}
                GROUP BY at, dims, value, name, step, late
            ) {_IN_ORDER}
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
        seen = self.sorted[1]
        steps = [step.name for step in self.funnel.steps]
        keys: list[SeriesKey] = []
        for i in ranked:
            code, cohort = int(hashes[i]), names[i]
            keys += [SeriesKey("conversion", a, b, cohort) for a, b in self.funnel.pairs]
            keys += [SeriesKey("volume", step, "", cohort) for step in _volumes(steps, cohort)]
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
        order, starts = self.sorted
        series, is_hit = list[int](), list[bool]()
        rows: list[Ints] = [np.zeros(0, np.int64)]
        for i, key in enumerate(keys):
            code = code_of.get(key.cohort)
            if code is None:
                continue
            for step, error, hit in self._sources(key):
                begin, end = starts.get((code, step, error), (0, 0))
                series.append(i)
                rows.append(order[begin:end])
                is_hit.append(hit)
        sizes = [len(part) for part in rows[1:]]
        return np.repeat(np.array(series, np.int64), sizes), np.concatenate(rows), np.repeat(np.array(is_hit, bool), sizes)

    def fill(self, keys: Sequence[SeriesKey], first: int, size: int) -> tuple[Floats, Floats]:
        """(S, size) trials and hits, the first column being time bin `first`."""
        series, row, is_hit = self.placed(keys)
        cell = series * size + (self.at[row] - first)
        count = self.count[row]
        trials, hits = (
            np.bincount(cell[mask], weights=count[mask], minlength=len(keys) * size).reshape(len(keys), size).astype(np.float64)
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

    @cached_property
    def sorted(self) -> tuple[Ints, dict[tuple[int, int, int], tuple[int, int]]]:
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
    # grouped by the short codes they are stored as: hashing each row first takes four times as long
    rows = client.query(
        f"SELECT cityHash64(dims, value), dims, value FROM (SELECT dims, value FROM funnel_minute WHERE {OF_FUNNEL} GROUP BY dims, value)",
        parameters(scope),
    )
    return {code: cohort_of(dims, value) for code, dims, value in rows}


#: The tables lie in the order of their groups, so that no table of all groups is built while reading.
_IN_ORDER = "SETTINGS optimize_aggregation_in_order = 1"


def known_by(minute: int | None) -> int:
    """The `as_of` parameter: everything known when there is no limit."""
    return 2**32 - 1 if minute is None else minute


#: Dimensions whose shares of traffic are steady. Releases, campaigns and landing pages come and go by design, so the end
#: of their traffic says nothing.
STEADY = frozenset(("device", "os", "browser", "country", "region", "source", "medium"))
#: Combinations of them that are counted every day; that one was not chosen today is no end of its traffic.
_STEADY_PAIRS = (frozenset(("os", "browser")), frozenset(("device", "country")))


def _volumes(steps: Sequence[str], cohort: Cohort) -> Sequence[str]:
    """Steps whose volume is watched: all for everyone, the way in for steady cohorts; further down the rates say more."""
    if not cohort.entries:
        return steps
    dimensions = frozenset(cohort.dimensions)
    return steps[:1] if dimensions <= STEADY and (len(dimensions) == 1 or dimensions in _STEADY_PAIRS) else ()
