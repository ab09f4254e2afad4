"""Counts of one funnel step by minute, with known answers: what detection is tested and timed on, without events in between."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import Floats, SeriesHistory, SeriesKey, SeriesWindow

MINUTES_A_DAY = 1440


@dataclass(frozen=True, slots=True)
class Fault:
    """From minute `start` to before `end` of the run, hits of `leaves` (all when empty) come through with chance `factor`."""

    start: int
    end: int
    factor: float
    leaves: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StepWorld:
    """L leaf cohorts going from one step to the next.

    `arrivals`: sessions a minute per leaf (mean over the day); `rates`: success per leaf. `median_delay` minutes, log-normal.
    `swing`: relative daily swing of arrivals. `minute_wobble`, `day_wobble`: relative noise of the rate beyond counting.
    """

    arrivals: tuple[float, ...]
    rates: tuple[float, ...]
    median_delay: float = 4.0
    longest_delay: int = 60
    swing: float = 0.4
    minute_wobble: float = 0.0
    day_wobble: float = 0.0
    faults: tuple[Fault, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class StepCounts:
    """(L, T) each: sessions entering, hits by minute of the hit, and trials that convert by minute of the trial. `delays`: (L, D)."""

    trials: Floats
    hits: Floats
    converted: Floats
    delays: Floats


def delay_pmf(median: float, longest: int) -> Floats:
    """Log-normal delays (sigma 0.8) by whole minute, cut at `longest`. (longest + 1,)"""
    edges = np.arange(1, longest + 2) - 0.0
    z = (np.log(edges) - np.log(median)) / 0.8
    cdf = 1 / (1 + np.exp(-1.702 * z))  # logistic in place of the normal: within 0.01, and no scipy here
    pmf = np.diff(cdf, prepend=0.0)
    return np.asarray(pmf / pmf.sum())


def simulate(world: StepWorld, minutes: int, seed: int) -> StepCounts:
    """`minutes` of counts from epoch minute 0. Same seed, same counts."""
    rng = np.random.default_rng(seed)
    time = np.arange(minutes)
    season = 1 + world.swing * np.sin(2 * np.pi * time / MINUTES_A_DAY)
    trials = rng.poisson(np.outer(world.arrivals, season)).astype(float)
    wobble = 1 + world.minute_wobble * rng.standard_normal(trials.shape)
    wobble = wobble * (1 + world.day_wobble * rng.standard_normal(minutes // MINUTES_A_DAY + 1))[time // MINUTES_A_DAY]
    chance = np.clip(np.array(world.rates)[:, None] * wobble, 0, 1)
    converted = rng.binomial(trials.astype(int), chance)
    pmf = delay_pmf(world.median_delay, world.longest_delay)
    hits = np.zeros(trials.shape)
    delays = np.zeros((len(trials), len(pmf)))
    for leaf, row in enumerate(converted):
        spread = rng.multinomial(row, pmf)
        delays[leaf] = spread.sum(axis=0)
        for delay in range(len(pmf)):
            hits[leaf, delay:] += spread[: minutes - delay, delay]
    for fault in world.faults:
        leaves = list(fault.leaves) or list(range(len(trials)))
        part = hits[leaves, fault.start : fault.end]
        hits[leaves, fault.start : fault.end] = rng.binomial(part.astype(int), fault.factor)
    return StepCounts(trials, hits, converted.astype(float), delays)


@dataclass(frozen=True, slots=True)
class Watched:
    """Series over leaf counts: `members` (S, L) says which leaves each series sums."""

    keys: tuple[SeriesKey, ...]
    members: NDArray[np.float64]
    counts: StepCounts

    def history(self, until: int, late: Sequence[float] = (1.0,)) -> SeriesHistory:
        """All whole hours before minute `until`, by hour."""
        hours = until // 60

        def hourly(values: Floats) -> Floats:
            return (self.members @ values[:, : hours * 60]).reshape(len(self.keys), hours, 60).sum(axis=2)

        return SeriesHistory(
            keys=self.keys,
            hours=np.arange(hours),
            trials=hourly(self.counts.trials),
            hits=hourly(self.counts.hits),
            converted=hourly(self.counts.converted),
            delays=self.members @ self.counts.delays,
            learn=np.ones((len(self.keys), hours), bool),
            late=np.array(late, dtype=float),
        )

    def window(self, minute: int, width: int = 240) -> SeriesWindow:
        """The `width` minutes that end with `minute`."""
        part = slice(minute - width + 1, minute + 1)
        return SeriesWindow(
            keys=self.keys,
            minutes=np.arange(minute - width + 1, minute + 1),
            trials=self.members @ self.counts.trials[:, part],
            hits=self.members @ self.counts.hits[:, part],
        )


def watch(world: StepWorld, minutes: int, seed: int, step: tuple[str, str] = ("add_payment_info", "purchase")) -> Watched:
    """Everyone and each leaf (dimension `leaf`, value its number) of a simulated step, as conversion series."""
    size = len(world.arrivals)
    cohorts = [Cohort(), *(Cohort.of({"leaf": str(leaf)}) for leaf in range(size))]
    members = np.vstack([np.ones((1, size)), np.eye(size)])
    if size == 1:
        cohorts, members = cohorts[:1], members[:1]
    keys = tuple(SeriesKey("conversion", step[0], step[1], cohort) for cohort in cohorts)
    return Watched(keys, members, simulate(world, minutes, seed))
