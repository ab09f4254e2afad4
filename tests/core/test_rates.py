"""Intervals beside reported rates, against the values their authors published."""

import math

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2

from funnelwatch.core.stats import rates


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombes_table(hits: int, trials: int, low: float, high: float) -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
    assert rates.wilson(hits, trials) == pytest.approx((low, high), abs=6e-5)


def test_a_rate_of_nothing_may_be_anything() -> None:
    assert rates.wilson(0, 0) == (0.0, 1.0)
    assert rates.difference(0, 0, 5, 10) == (0.0, -1.0, 1.0)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_differences_have_the_intervals_of_newcombes_table(one: tuple[int, int], other: tuple[int, int], low: float, high: float) -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10
    shift, *interval = rates.difference(*other, *one)
    assert shift == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert interval == pytest.approx([low, high], abs=6e-5)
    assert rates.difference(*one, *other) == pytest.approx((-shift, -interval[1], -interval[0]))


@pytest.mark.parametrize("counts", [(48, 80, 56, 70), (3, 10, 9, 10), (500, 1_000, 520, 1_000), (5, 50, 5, 50)])
def test_the_chance_of_a_difference_is_that_of_the_two_sided_score_test(counts: tuple[int, int, int, int]) -> None:
    hits_a, trials_a, hits_b, trials_b = counts
    table = [[hits_a, trials_a - hits_a], [hits_b, trials_b - hits_b]]
    assert rates.p_value(*counts) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert rates.p_value(0, trials_a, 0, trials_b) == rates.p_value(0, 0, hits_b, trials_b) == 1.0


def test_the_odds_ratio_of_aspirin_and_heart_attacks_is_the_textbooks() -> None:
    # Agresti, Categorical Data Analysis, table 2.3: 1.83 (1.44 to 2.33)
    assert rates.odds_ratio(189, 10_845, 104, 10_933) == pytest.approx((1.83, 1.44, 2.33), abs=0.01)


@pytest.mark.parametrize("cells", [(10, 30, 30, 30), (0, 12, 7, 5), (3, 0, 0, 4)])
def test_an_odds_ratio_is_woolfs_with_a_half_in_every_cell(cells: tuple[int, int, int, int]) -> None:
    ratio, low, high = rates.odds_ratio(*cells)
    table = Table2x2([[cells[0] + 0.5, cells[1] + 0.5], [cells[2] + 0.5, cells[3] + 0.5]])
    assert (ratio, low, high) == pytest.approx((table.oddsratio, *table.oddsratio_confint()), rel=1e-5)
    assert 0 < low < ratio < high < math.inf
