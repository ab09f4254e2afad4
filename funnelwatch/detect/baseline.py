"""What is normal: per series a rate by hour of the week, delays, dispersion; learned from hourly history.

Small cohorts lean on their parents (empirical Bayes), so 40 sessions a day still give a usable rate.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.series import Floats, SeriesHistory, SeriesKey, positions
from funnelwatch.core.stats.shrink import prior_strength, shrink
from funnelwatch.detect import delays, dispersion, level, season, tree
from funnelwatch.detect.pack import keys_from_json, keys_to_json, pack, unpack

#: Weight of an hour of history halves every so many hours: a week old counts half, so a slow change is followed in days.
HALF_LIFE = 7 * 24
#: Day-to-day wobble of the level believed before it has been seen, and how many days that belief is worth: with 3 days of history
#: a rate may be off by 3 %, with 28 by 1 %.
DAILY_PRIOR = {"conversion": 0.08, "errors": 0.3, "volume": 0.3}
DAILY_WORTH = 0.5
#: Below so many expected hits a day a series says nothing within days; it is judged through its parent.
MIN_HITS_A_DAY = 10.0
MIN_TRIALS_A_DAY_ERRORS = 50.0
#: Hours with trials that a rate must be learned from.
MIN_HOURS_LEARNED = 48
#: Where an error class was never seen: one in 500 attempts, worth 250 attempts.
UNSEEN_ERROR_RATE, UNSEEN_STRENGTH = 0.002, 250.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What `fit` learned. S series, F delay families, D delay minutes.

    `rate`: (S, 168) success rate (conversion), errors per trial, or hits a minute (volume), by epoch hour modulo 168.
    `hits_a_day`, `trials_a_day`: (S,) recent means. `usable`: (S,) enough to be judged. `phi`, `hourly`, `daily`: (S,), see dispersion.
    `days`: (S,) days with trials that were learned from.
    `pmf`: (F, D), `family`: (S,). `arrival`: (A, L), `late`: (S,), see delays.arrival_curves. `fitted_hour`: epoch hour the history ended with.
    """

    keys: tuple[SeriesKey, ...]
    fitted_hour: int
    rate: Floats
    hits_a_day: Floats
    trials_a_day: Floats
    usable: NDArray[np.bool_]
    phi: Floats
    hourly: Floats
    daily: Floats
    days: Floats
    pmf: Floats
    family: NDArray[np.int64]
    arrival: Floats
    late: NDArray[np.int64]

    def dumps(self) -> bytes:
        """As bytes for the store; rates in half the precision."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["rate"] = self.rate.astype(np.float32)
        return pack({"keys": keys_to_json(self.keys), "fitted_hour": self.fitted_hour}, arrays)

    @classmethod
    def loads(cls, data: bytes) -> "Baseline":
        """The inverse of `dumps`. Raises ValueError for anything else."""
        meta, arrays = unpack(data)
        if missing := set(_ARRAYS) - set(arrays):
            raise ValueError(f"stored baseline lacks {sorted(missing)}")
        arrays["rate"] = arrays["rate"].astype(np.float64)
        values: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        return cls(keys=keys_from_json(meta["keys"]), fitted_hour=meta["fitted_hour"], **values)

    def rows(self, keys: tuple[SeriesKey, ...]) -> NDArray[np.int64]:
        """Row to judge each key by: its own, else the nearest ancestor's; -1 for none (and for new volumes: a share is not known)."""
        known = positions(self.keys)
        found = np.full(len(keys), -1, dtype=np.int64)
        for index, key in enumerate(keys):
            row = known.get(key, -1)
            if row < 0 and key.metric != "volume":
                row = tree.nearest_ancestor(key, known, self.trials_a_day)
            found[index] = row
        return found


_ARRAYS = tuple(field.name for field in fields(Baseline) if field.name not in ("keys", "fitted_hour"))


def fit(history: SeriesHistory) -> Baseline:
    """Learn what is normal. Hours with `learn` False, and the last ones whose trials may still convert, are left out."""
    trials, hits = _counts(history)
    learn = _learnable(history)
    parent = tree.parents(history.keys, history.trials.sum(1))
    group = tree.groups(history.keys)
    pmf, family = delays.families(history.keys, history.delays, parent)
    arrival, late = delays.arrival_curves(history.keys, history.late, history.late_by)
    depth = np.array([len(key.cohort.entries) for key in history.keys], dtype=np.int64).reshape(len(history.keys))
    age = history.hours[-1] - history.hours if len(history.hours) else history.hours
    weight = np.where(learn, 0.5 ** (age / HALF_LIFE), 0.0)
    rate = _rates(history.keys, history.hours, trials * weight, hits * weight, parent, group)

    expected = trials * rate[:, history.hours % season.WEEK]
    ahead, now = level.follow(hits, expected, learn, parent, depth)
    expected, rate = expected * ahead, rate * now[:, None]
    binomial = _is(history.keys, "conversion")[:, None]
    noise = np.where(binomial, expected * np.maximum(1 - rate[:, history.hours % season.WEEK], 0.001), expected)
    learned = (learn & (trials > 0)).sum(axis=1)
    prior = np.array([DAILY_PRIOR.get(key.metric, 0.3) for key in history.keys]).reshape(len(history.keys))
    floor = prior * np.sqrt(DAILY_WORTH / (learned / 24 + DAILY_WORTH))
    wobble = dispersion.fit(hits, expected, noise, learn, group, 0.0)
    per_day = 24 / np.maximum(weight.sum(1), 1e-9)
    hits_a_day, trials_a_day = (hits * weight).sum(1) * per_day, (trials * weight).sum(1) * per_day
    return Baseline(
        keys=history.keys,
        fitted_hour=int(history.hours[-1]) if len(history.hours) else 0,
        rate=np.where(binomial, np.minimum(rate, 0.999), rate),
        hits_a_day=hits_a_day,
        trials_a_day=trials_a_day,
        usable=_usable(history.keys, hits_a_day, trials_a_day, learned),
        phi=wobble.phi,
        hourly=wobble.hourly,
        daily=np.maximum(wobble.daily, floor),
        days=learned / 24,
        pmf=pmf,
        family=family,
        arrival=arrival,
        late=late,
    )


def _is(keys: tuple[SeriesKey, ...], metric: str) -> NDArray[np.bool_]:
    return np.array([key.metric == metric for key in keys], bool).reshape(len(keys))


def _counts(history: SeriesHistory) -> tuple[Floats, Floats]:
    """Trials and hits to learn from: conversions by the hour of the trial, volumes per minute of the hour."""
    conversion, volume = _is(history.keys, "conversion")[:, None], _is(history.keys, "volume")[:, None]
    return np.where(volume, 60.0, history.trials), np.where(conversion, history.converted, history.hits)


def _learnable(history: SeriesHistory) -> NDArray[np.bool_]:
    """`learn` without the last hours of conversions, whose trials have not had their time yet."""
    total = history.delays.sum()
    learn = history.learn.copy()
    if total > 0:
        slowest = int(np.searchsorted(np.cumsum(history.delays.sum(0)) / total, 0.99))
        unripe = 1 + slowest // 60
        learn[_is(history.keys, "conversion"), -unripe:] = False
    return learn


def _usable(keys: tuple[SeriesKey, ...], hits: Floats, trials: Floats, learned: NDArray[np.int64]) -> NDArray[np.bool_]:
    errors = _is(keys, "errors")
    known = _is(keys, "conversion") | errors | _is(keys, "volume")
    enough = np.where(errors, trials >= MIN_TRIALS_A_DAY_ERRORS, hits >= MIN_HITS_A_DAY)
    return np.asarray(known & enough & (learned >= MIN_HOURS_LEARNED))


def _rates(
    keys: tuple[SeriesKey, ...],
    hours: NDArray[np.int64],
    trials: Floats,
    hits: Floats,
    parent: NDArray[np.int64],
    group: NDArray[np.int64],
) -> Floats:
    """(S, 168) rates by hour of the week from weighted counts (S, H), parents first."""
    cell_trials, cell_hits = season.by_week(hours, trials), season.by_week(hours, hits)
    factors = np.ones((len(keys), season.WEEK))
    mean = np.zeros(len(keys))
    depth = np.array([len(key.cohort.entries) for key in keys], dtype=np.int64).reshape(len(keys))
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        for generation in np.unique(depth[members]):
            rows = members[depth[members] == generation]
            above = parent[rows]
            all_trials, all_hits = cell_trials[rows].sum((1, 2)), cell_hits[rows].sum((1, 2))
            mean[rows] = _levels(keys[members[0]].metric, all_trials, all_hits, mean[above], above >= 0)
            factors[rows] = np.where((above >= 0)[:, None], factors[above], 1.0)
            # the last pass mends what smoothing cut off a shop's sharp edges, as far as the days agree on them
            for fold, smooth in ((season.DAY, True), (season.WEEK, True), (season.DAY, False)):
                expected = cell_trials[rows] * (mean[rows, None] * factors[rows])[:, None]
                factors[rows] *= season.pattern(cell_hits[rows], expected, fold, smooth)
            expected = (cell_trials[rows] * (mean[rows, None] * factors[rows])[:, None]).sum((1, 2))
            factors[rows] *= (mean[rows] * all_trials / np.maximum(expected, 1e-12)).clip(0.5, 2.0)[:, None]
    rate = mean[:, None] * factors
    return np.where(_is(keys, "conversion")[:, None], np.minimum(rate, 0.999), rate)


def _levels(metric: str, trials: Floats, hits: Floats, above: Floats, has_parent: NDArray[np.bool_]) -> Floats:
    """One rate per series: shrunk to the parent's where there is one; volumes keep their own."""
    if metric == "volume":
        return hits / np.maximum(trials, 1e-9)
    strength = prior_strength(hits[has_parent], trials[has_parent], above[has_parent])
    prior = np.where(has_parent, above, UNSEEN_ERROR_RATE if metric == "errors" else 0.5)
    return shrink(hits, trials, prior, np.where(has_parent, strength, UNSEEN_STRENGTH if metric == "errors" else 1.0))

