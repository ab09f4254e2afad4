"""What diagnosis asks of the reconstructed sessions: leaves, error signatures, what an order is worth, a sample for the session model."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import LeafTable, SessionTable, Signature
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.vocabulary import ERROR_EVENTS, MULTI_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.native import Column
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, parameters
from funnelwatch.store.scope import Scope

#: Dimensions searched for the broken cohort. Finer ones (os_version) split leaves without naming causes; coarser ones
#: (consent) are in them. Of those that hold the same sessions the first names the cohort: a campaign before the source it comes by.
SEARCHED = (
    "device", "os", "browser", "browser_version", "country", "region", "campaign", "source", "medium", "app_version",
    "landing_page", "new_or_returning", "payment_provider", "payment_method", "shipping_method", "coupon",
)  # fmt: skip
#: Values kept by name a dimension, largest first; the tail cannot be told from noise.
NAMED = 40
#: Features of the session model, and how many sessions of the cohort it learns from.
FEATURES = ("os", "browser", "country", "campaign", "new_or_returning", "payment_provider", "payment_method", "shipping_method")
SAMPLED = 6_000


@dataclass(frozen=True, slots=True)
class Period:
    """Which journeys to look at: base minutes [base_from, onset), since minutes [onset, until), as known at the end of `until`."""

    funnel: FunnelDef
    run_id: str
    step_from: str
    step_to: str
    base_from: int
    onset: int
    until: int
    multi: str = ""
    error: str = ""  # an error class: then what counts as a hit is that a session met it at the step

    @property
    def steps(self) -> tuple[int, int]:
        """Numbers of the two steps in the roll-ups (1 is the first)."""
        names = [step.name for step in self.funnel.steps]
        return names.index(self.step_from) + 1, names.index(self.step_to) + 1 if self.step_to in names else 0

    def params(self) -> dict[str, object]:
        """Placeholders of the statements below."""
        scope = Scope(self.funnel, self.run_id, self.base_from, self.until + 1)
        k, k2 = self.steps
        return {
            **parameters(scope), "onset": self.onset, "step_from": k, "step_to": k2, "multi": self.multi,
            "as_of": (self.until + 1) * 60_000, "errors": list(ERROR_EVENTS), "error": self.error,
        }  # fmt: skip


_KNOWN = "known_at < fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')"


def leaves(client: Client, period: Period) -> LeafTable:
    """The finest combinations of SEARCHED (and the multi-valued dimension, if any) with their counts before and since the onset.

    A session since the onset weighs as much as the share of conversions that come within its age, so young ones do not look lost.
    """
    dimensions = (*SEARCHED, period.multi) if period.multi else SEARCHED
    columns = ", ".join(f"anyIf({_column(name)}, name = '' AND step = {{step_from:UInt8}}) AS d_{name}" for name in dimensions)
    found = client.query(
        f"""
        SELECT {", ".join(f"d_{name}" for name in dimensions)}, if(entered < {{onset:UInt32}}, 0, greatest(toInt64({{to:UInt32}}) - 1 - entered, 0)) AS age,
            countIf(entered < {{onset:UInt32}}), countIf(entered < {{onset:UInt32}} AND converted),
            countIf(entered >= {{onset:UInt32}}), countIf(entered >= {{onset:UInt32}} AND converted)
        FROM ({_sessions(columns)})
        GROUP BY ALL
        """,
        period.params(),
    )
    width = len(dimensions)
    counts = np.array([row[width + 1 :] for row in found], dtype=np.float64).reshape(-1, 4)
    ages = np.array(found.columns[width], dtype=np.int64) if len(found) else np.zeros(0, np.int64)
    curve = np.ones(1) if period.error else _converted_within(client, period)
    weight = curve[np.minimum(ages, len(curve) - 1)]
    counts[:, 2] *= np.maximum(weight, counts[:, 3] / np.maximum(counts[:, 2], 1.0))
    labels, codes = zip(*(_encode(found.columns[axis]) for axis in range(width)), strict=True) if len(found) else ((), ())
    values = np.stack(codes, axis=1) if len(found) else np.zeros((0, width), np.int64)
    return _merged(dimensions, tuple(labels), values, counts)


def signatures(client: Client, period: Period, cohort: Cohort) -> list[Signature]:
    """Error classes and codes seen in the cohort at or after the step, per session that entered it, before and since."""
    clause, more = where(cohort, period.multi)
    params = period.params() | more
    before, since = next(
        iter(
            client.query(
                f"""
                SELECT uniqExactIf(session, minute < {{onset:UInt32}}), uniqExactIf(session, minute >= {{onset:UInt32}})
                FROM journey WHERE {_JOURNEY} AND name = '' AND step = {{step_from:UInt8}} AND {clause}
                """,
                params,
            )
        )
    )
    rows = client.query(
        f"""
        SELECT name, error_code, uniqExactIf(session, minute < {{onset:UInt32}}) AS old,
            uniqExactIf(session, minute >= {{onset:UInt32}}) AS new, toUnixTimestamp64Milli(min(at))
        FROM journey
        WHERE {_JOURNEY} AND name IN {{errors:Array(String)}} AND step >= {{step_from:UInt8}} AND {clause}
        GROUP BY name, error_code HAVING new > 0
        """,
        params,
    )
    return [
        Signature(name, code, old / max(before, 1), new / max(since, 1), new, datetime.fromtimestamp(first / 1000, UTC))
        for name, code, old, new, first in rows
    ]


@dataclass(frozen=True, slots=True)
class Worth:
    """Orders of the cohort before onset in one currency, and how many sessions past the step came to order."""

    currency: str
    mean: float
    sd: float
    orders: int
    later_trials: float
    later_hits: float


def worth(client: Client, period: Period, cohort: Cohort, currency: str) -> Worth:
    """What a conversion at the step is worth: the cohort's own orders before the onset, in `currency`."""
    clause, more = where(cohort, period.multi)
    params = period.params() | more | {"currency": currency, "last": len(period.funnel.steps)}
    ((mean, sd, orders, reached, ordered),) = client.query(
        f"""
        WITH name = 'purchase' AND value > 0 AND currency IN ({{currency:String}}, '') AS paid
        SELECT ifNotFinite(avgIf(toFloat64(value), paid), 0.), ifNotFinite(stddevPopIf(toFloat64(value), paid), 0.), countIf(paid),
            uniqExactIf(session, name = '' AND step = if({{step_to:UInt8}} = 0, {{step_from:UInt8}}, {{step_to:UInt8}})),
            uniqExactIf(session, name = '' AND step = {{last:UInt8}})
        FROM journey WHERE {_JOURNEY} AND name IN ('', 'purchase') AND minute < {{onset:UInt32}} AND {clause}
        """,
        params,
    )
    return Worth(currency, float(mean), float(sd), int(orders), float(reached), float(min(ordered, reached)))


def features(client: Client, period: Period, cohort: Cohort) -> SessionTable:
    """A sample of the cohort's sessions at the step: dimension codes, error flags, seconds to get there, converted or not."""
    clause, more = where(cohort, period.multi)
    dims = ", ".join(f"anyIf({_column(name)}, name = '' AND step = {{step_from:UInt8}}) AS d_{name}" for name in FEATURES)
    errors = ", ".join(f"toFloat64(countIf(name = '{name}' AND step >= {{step_from:UInt8}}) > 0) AS e_{name}" for name in ERROR_EVENTS)
    rows = client.query(
        f"""
        SELECT {", ".join(f"d_{name}" for name in FEATURES)}, {", ".join(f"e_{name}" for name in ERROR_EVENTS)}, wait, converted, since
        FROM (
            SELECT {dims}, {errors},
                anyIf(dateDiff('millisecond', first_at, at) / 1000, name = '' AND step = {{step_from:UInt8}}) AS wait,
                countIf(name = '' AND step = {{step_to:UInt8}}) > 0 AS converted,
                minIf(minute, name = '' AND step = {{step_from:UInt8}}) AS entered, entered >= {{onset:UInt32}} AS since
            FROM journey WHERE {_JOURNEY} AND {clause}
            GROUP BY session, multi_value HAVING entered > 0
            ORDER BY cityHash64(session) LIMIT {SAMPLED}
        )
        """,
        period.params() | more,
    )
    width = len(FEATURES)
    columns: dict[str, NDArray[np.float64]] = {}
    for axis, name in enumerate(FEATURES):
        codes = _encode(rows.columns[axis])[1] if len(rows) else np.zeros(0)
        if len(np.unique(codes)) > 1:
            columns[name] = codes.astype(np.float64)
    for axis, name in enumerate(ERROR_EVENTS, width):
        flags = np.array(rows.columns[axis] if len(rows) else [], dtype=np.float64)
        if flags.any():
            columns[name] = flags
    columns["seconds_to_step"] = np.array(rows.columns[-3] if len(rows) else [], dtype=np.float64)
    converted, since = (np.array(rows.columns[axis] if len(rows) else [], dtype=bool) for axis in (-2, -1))
    return SessionTable(columns, converted, since)


def where(cohort: Cohort, multi: str) -> tuple[str, dict[str, object]]:
    """The condition on `journey` rows that keeps a cohort, with its parameters."""
    parts, params = ["1"], dict[str, object]()
    for index, dimension in enumerate(cohort.dimensions):
        if dimension in MULTI_DIMENSIONS and dimension != multi:
            raise ValueError(f"a cohort of {dimension} is read from the rows of that dimension, not of {multi or 'sessions'}")
        parts.append(f"{_column(dimension)} IN {{cohort{index}:Array(String)}}")
        params[f"cohort{index}"] = list(cohort.values(dimension))
    return " AND ".join(parts), params


_JOURNEY = f"{OF_FUNNEL} AND multi = {{multi:String}} AND {_KNOWN} AND {COMMITTED}"


def _column(dimension: str) -> str:
    return "multi_value" if dimension in MULTI_DIMENSIONS else dimension


def _sessions(columns: str) -> str:
    """One row a session that entered the step: its dimensions there, when, and whether it converted (or met the error)."""
    return f"""
        SELECT {columns}, toInt64(minIf(minute, name = '' AND step = {{step_from:UInt8}})) AS entered,
            countIf(if({{error:String}} = '', name = '' AND step = {{step_to:UInt8}}, name = {{error:String}} AND step >= {{step_from:UInt8}})) > 0
                AS converted
        FROM journey WHERE {_JOURNEY} AND name IN ('', {{error:String}}) AND step >= {{step_from:UInt8}}
        GROUP BY session, multi_value, first_at HAVING countIf(name = '' AND step = {{step_from:UInt8}}) > 0"""


def _converted_within(client: Client, period: Period) -> NDArray[np.float64]:
    """Share of the base's conversions that came within 0, 1, 2 ... minutes; ones where there were none."""
    rows = client.query(
        f"""
        SELECT least(toInt64(delay), 240) AS wait, sum(entered) FROM funnel_minute
        WHERE {OF_FUNNEL} AND dims = '' AND step = {{step_to:UInt8}} AND minute < {{onset:UInt32}} AND {COMMITTED}
        GROUP BY wait
        """,
        period.params(),
    )
    histogram = np.zeros(241)
    for wait, count in rows:
        histogram[wait] = count
    total = histogram.sum()
    return np.cumsum(histogram) / total if total else np.ones(1)


def _encode(column: Column) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Labels and codes, the rarest values pooled under ''."""
    names, codes, counts = np.unique(np.asarray(column, dtype=object).astype(str), return_inverse=True, return_counts=True)
    if len(names) > NAMED:
        kept = set(names[np.argsort(-counts)[:NAMED]].tolist())
        return _encode([name if name in kept else "" for name in column])
    return tuple(names.tolist()), codes.astype(np.int64)


def _merged(
    dimensions: tuple[str, ...], labels: tuple[tuple[str, ...], ...], values: NDArray[np.int64], counts: NDArray[np.float64]
) -> LeafTable:
    """Rows of equal values (they differed in age only) added up."""
    if not len(values):
        empty = np.zeros(0)
        return LeafTable(dimensions, tuple(() for _ in dimensions), values, empty, empty, empty, empty)
    unique, inverse = np.unique(values, axis=0, return_inverse=True)
    summed = [np.bincount(inverse.ravel(), counts[:, column], len(unique)).astype(np.float64) for column in range(4)]
    return LeafTable(dimensions, labels, unique, summed[0], summed[1], summed[2], summed[3])


__all__ = ["Period", "Worth", "features", "leaves", "signatures", "where", "worth"]
