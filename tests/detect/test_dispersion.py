"""How far a series wanders, where there is nothing to measure it by."""

import warnings

import numpy as np

from funnelwatch.detect import dispersion


def test_a_series_without_anything_due_leans_on_its_group_and_brings_no_warning() -> None:
    rng = np.random.default_rng(5)
    hours = 14 * 24
    expected = np.array([np.full(hours, 50.0), np.zeros(hours), np.full(hours, 50.0)])
    hits = np.array([rng.poisson(50, hours), np.zeros(hours), rng.poisson(50, hours)], float)
    learn = np.ones((3, hours), bool)
    learn[2] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dispersion.fit(hits, expected, expected, learn, np.zeros(3, np.int64), 0.02)
        nobody = dispersion.fit(*[np.zeros((0, hours))] * 3, np.zeros((0, hours), bool), np.zeros(0, np.int64), 0.02)
    assert np.isfinite([found.phi, found.hourly, found.daily]).all()
    assert found.daily[1] == found.daily[2]
    assert nobody.phi.shape == (0,)
