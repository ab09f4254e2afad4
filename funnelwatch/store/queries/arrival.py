"""How much of a recent number is in by now: curves of delay and lateness learned from the project's settled past."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.funnel import FunnelDef
from funnelwatch.store.client import Client
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL, parameters
from funnelwatch.store.scope import Scope

#: The past a curve is learned from.
LEARN_MINUTES = 7 * 1_440
#: A clients' retries end after two days.
SETTLED_MINUTES = 2 * 1_440
#: Fewer conversions than this say nothing about a curve.
LEAST = 100


@dataclass(frozen=True, slots=True)
class Curve:
    """`cumulative[d]`: share known at most `d` minutes after the trial's minute."""

    cumulative: NDArray[np.float64]

    def by(self, age: int) -> float:
        """Share known `age` minutes after the minute of the trial; 0 before it."""
        if age < 0:
            return 0.0
        return float(self.cumulative[min(age, len(self.cumulative) - 1)])

    def mean(self, youngest: int, minutes: int) -> float:
        """Mean share over trials of `minutes` consecutive minutes, the last of them `youngest` + 1 minutes old."""
        return sum(self.by(youngest + 1 + i) for i in range(minutes)) / max(minutes, 1)


def curve(client: Client, funnel: FunnelDef, run_id: str, until_minute: int, step: int) -> Curve | None:
    """Of arrivals at `step` after their trial at the step before, learned on the week before `until_minute`; None when too few."""
    return _curves(client, funnel, run_id, until_minute).get(step)


def shares(
    client: Client, funnel: FunnelDef, run_id: str, from_minute: int, to_minute: int, as_of_minute: int
) -> dict[int, float]:
    """Step -> share of its conversions in [from_minute, to_minute) that should be known at the end of `as_of_minute`.

    Weighs the minutes by their arrivals. A step without a learned curve is missing, unless all is long settled.
    """
    settled = to_minute - 1 + funnel.window_minutes + SETTLED_MINUTES <= as_of_minute
    if settled:
        return dict.fromkeys(range(1, len(funnel.steps)), 1.0)
    curves = _curves(client, funnel, run_id, from_minute)
    scope = Scope(funnel, run_id, from_minute, to_minute)
    rows = client.query(
        f"""
        SELECT step, toInt64(minute), toFloat64(sum(entered)) FROM funnel_minute
        WHERE {OF_FUNNEL} AND dims = '' AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED} GROUP BY step, minute
        """,
        {**parameters(scope), "as_of": as_of_minute},
    )
    total: dict[int, float] = {}
    known: dict[int, float] = {}
    for step, minute, entered in rows:
        if step + 1 in curves:
            total[step] = total.get(step, 0.0) + entered
            known[step] = known.get(step, 0.0) + entered * curves[step + 1].by(as_of_minute - minute)
    return {step: known[step] / total[step] for step in total}


def _curves(client: Client, funnel: FunnelDef, run_id: str, until_minute: int) -> dict[int, Curve]:
    scope = Scope(funnel, run_id, max(until_minute - LEARN_MINUTES, 0), until_minute)
    rows = client.query(
        f"""
        SELECT step, toInt64(delay + lag) AS wait, toFloat64(sum(entered)) FROM funnel_minute
        WHERE {OF_FUNNEL} AND dims = '' AND step > 1 AND {COMMITTED} GROUP BY step, wait
        """,
        parameters(scope),
    )
    waits: dict[int, list[tuple[int, float]]] = {}
    for step, wait, count in rows:
        waits.setdefault(step, []).append((wait, count))
    found = {}
    for step, pairs in waits.items():
        counts = np.bincount([wait for wait, _ in pairs], weights=[count for _, count in pairs])
        if counts.sum() >= LEAST:
            found[step] = Curve(np.cumsum(counts) / counts.sum())
    return found
