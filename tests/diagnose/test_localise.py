"""The broken cohort is named under the count model, and nothing is named where nothing is broken."""

import itertools

import numpy as np
import pytest

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.diagnosis import LeafTable
from funnelwatch.diagnose.localise import locate

LABELS = (("iOS", "Android", "Windows"), ("Safari", "Chrome", "Edge"), ("ig_sale", "search", "(direct)", "mail"))
DIMENSIONS = ("os", "browser", "campaign")


def table(broken: dict[str, tuple[str, ...]] | None, factor: float, sessions: int = 80, seed: int = 1) -> LeafTable:
    """36 leaves that convert at 60 %; those in `broken` at `factor` of it since the onset."""
    random = np.random.default_rng(seed)
    values = np.array(list(itertools.product(*(range(len(axis)) for axis in LABELS))))
    base, now = np.full(len(values), sessions * 10.0), np.full(len(values), float(sessions))
    rate = np.full(len(values), 0.6)
    if broken is not None:
        cohort = Cohort.of((dimension, value) for dimension, names in broken.items() for value in names)
        empty = LeafTable(DIMENSIONS, LABELS, values, base, base, now, now)
        rate = np.where(empty.mask(cohort), 0.6 * factor, rate)
    hits = random.binomial(now.astype(int), rate).astype(float)
    return LeafTable(DIMENSIONS, LABELS, values, base, random.binomial(base.astype(int), 0.6).astype(float), now, hits)


@pytest.mark.parametrize(
    "broken",
    [
        {"campaign": ("mail",)},
        {"os": ("iOS",), "browser": ("Safari",)},
        {"os": ("iOS",), "browser": ("Safari",), "campaign": ("ig_sale",)},
        {"campaign": ("ig_sale", "mail")},
    ],
)
def test_the_broken_cohort_is_named_exactly(broken: dict[str, tuple[str, ...]]) -> None:
    found, path = locate(table(broken, 0.4))
    assert found.cohort == Cohort.of((dimension, value) for dimension, names in broken.items() for value in names)
    assert found.explained == pytest.approx(1.0, abs=0.25)
    assert found.observed == pytest.approx(0.24, abs=0.06)
    assert path[0].cohort == EVERYONE
    assert path[-1] == found


def test_a_drop_that_hits_all_alike_names_everyone() -> None:
    everyone = {"os": LABELS[0]}
    assert locate(table(everyone, 0.7))[0].cohort == EVERYONE


def test_nothing_broken_names_nobody_in_all_but_a_few_of_fifty_draws() -> None:
    named = sum(locate(table(None, 1.0, seed=seed))[0].cohort != EVERYONE for seed in range(50))
    assert named <= 3


def test_a_three_session_leaf_without_orders_does_not_outshine_the_large_broken_one() -> None:
    good = table({"os": ("Windows",), "browser": ("Edge",)}, 0.5)
    trials, hits = good.trials.copy(), good.hits.copy()
    trials[0], hits[0] = 3.0, 0.0
    mixed = LeafTable(good.dimensions, good.labels, good.values, good.base_trials, good.base_hits, trials, hits)
    assert locate(mixed)[0].cohort == Cohort.of({"os": "Windows", "browser": "Edge"})


def test_a_surplus_of_errors_is_located_upwards() -> None:
    source = table({"campaign": ("mail",)}, 1.5)
    assert locate(source, direction="up")[0].cohort == Cohort.of({"campaign": "mail"})
