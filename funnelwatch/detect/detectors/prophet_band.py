"""Slow tier: Prophet's forecast interval for headline series, fitted on a schedule, scored against while it lasts."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from funnelwatch.core.series import Floats, SeriesHistory, SeriesKey
from funnelwatch.core.signals import Signal
from funnelwatch.detect.pack import keys_from_json, keys_to_json, pack, unpack

VERSION = 1
#: Hours forecast at a fit: one missed nightly fit leaves no gap.
AHEAD = 48
#: Below this many trials an hour, an hour's rate says nothing to Prophet.
MIN_TRIALS_AN_HOUR = 10.0
MIN_HOURS = 72
WIDTH = 0.95
MINUTES = 60


@dataclass(frozen=True, slots=True)
class Band:
    """Forecast of one series for the hours from epoch hour `start`: `centre` and standard deviation `spread`, (AHEAD,).

    A success rate for conversions and errors, hits an hour for volumes.
    """

    key: SeriesKey
    start: int
    centre: Floats
    spread: Floats


Bands = Mapping[SeriesKey, Band]


def dumps(bands: Sequence[Band]) -> bytes:
    """As bytes for the store."""
    arrays = {
        "start": np.array([band.start for band in bands], dtype=np.int64),
        "centre": np.array([band.centre for band in bands]).reshape(-1, AHEAD),
        "spread": np.array([band.spread for band in bands]).reshape(-1, AHEAD),
    }
    return pack({"keys": keys_to_json(tuple(band.key for band in bands))}, arrays)


def loads(data: bytes) -> Bands:
    """The inverse of `dumps`, by series. Raises ValueError for anything else."""
    meta, arrays = unpack(data)
    rows = zip(keys_from_json(meta["keys"]), arrays["start"], arrays["centre"], arrays["spread"], strict=True)
    return {key: Band(key, int(start), centre, spread) for key, start, centre, spread in rows}


def fit_all(history: SeriesHistory) -> bytes:
    """Every series of `history` that is not too thin, as `dumps` has them: what a child process is asked for."""
    bands = (fit(history, row) for row in range(len(history.keys)))
    return dumps([band for band in bands if band is not None])


def fit(history: SeriesHistory, row: int) -> Band | None:
    """Fit one series of `history` (0.1 to 2 s) and forecast the hours after it. None where it is too thin to tell."""
    key = history.keys[row]
    trials = np.ones(len(history.hours)) if key.metric == "volume" else history.trials[row]
    hits = history.converted[row] if key.metric == "conversion" else history.hits[row]
    use = history.learn[row] & (trials > 0)
    use[-1:] = False  # trials of the last hour may still convert
    if use.sum() < MIN_HOURS or (key.metric != "volume" and trials[use].mean() < MIN_TRIALS_AN_HOUR):
        return None
    centre, spread = _forecast(history.hours[use], hits[use] / trials[use], int(history.hours[-1]) + 1)
    return Band(key, int(history.hours[-1]) + 1, centre, spread)


def signal(band: Band, minute: int, hits: Floats, trials: Floats) -> Signal | None:
    """The last hour, (>= 60,) hits and the trials they come from, against the band. None outside the band's hours."""
    # the hour that ends now spans two forecast hours: weigh them by their share
    position = (minute + 1 - MINUTES) / 60 - band.start
    if not 0 <= position <= len(band.centre) - 1 or len(hits) < MINUTES:
        return None
    index = np.arange(len(band.centre))
    centre = max(float(np.interp(position, index, band.centre)), 0.0)
    spread = float(np.interp(position, index, band.spread))
    count, due = float(hits[-MINUTES:].sum()), float(trials[-MINUTES:].sum())
    if band.key.metric == "volume":
        observed, noise = count, np.sqrt(max(centre, 1.0))
    else:
        observed = count / max(due, 1e-9)
        noise = np.sqrt(max(centre * (1 - min(centre, 1.0)), 1e-9) / max(due, 1e-9))
    z = (observed - centre) / float(np.hypot(spread, noise))
    p_value = 2 * float(stats.norm.sf(abs(z)))
    inside = "inside" if abs(z) < stats.norm.ppf(0.5 + WIDTH / 2) else "outside"
    return Signal(
        detector="prophet_band",
        version=VERSION,
        score=1 - p_value,
        p_value=p_value,
        direction="down" if z < 0 else "up",
        minute=minute,
        text=f"last hour {observed:.3g}, forecast {centre:.3g}: {inside} the 95 % interval",
    )


def _forecast(hours: NDArray[np.int64], values: Floats, start: int) -> tuple[Floats, Floats]:
    """Prophet's mean and standard deviation over AHEAD hours from epoch hour `start`."""
    import pandas as pd  # prophet and pandas take seconds to import; only scheduled fits come here

    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # tells at import that plotly is missing
    from cmdstanpy.utils import get_logger
    from prophet import Prophet

    get_logger().setLevel(logging.WARNING)  # tells every chain's start and end; its first use would reset the level
    # the predictive interval by simulated trends, few: its edges are used as a standard deviation only
    model = Prophet(
        growth="flat", daily_seasonality=6, weekly_seasonality=3, yearly_seasonality=False, interval_width=WIDTH, uncertainty_samples=200
    )
    model.fit(pd.DataFrame({"ds": pd.to_datetime(hours * 3600, unit="s"), "y": values}))
    ahead = pd.DataFrame({"ds": pd.to_datetime(np.arange(start, start + AHEAD) * 3600, unit="s")})
    state = np.random.get_state()
    np.random.seed(0)  # Prophet draws from numpy's global generator; the same history must give the same band
    try:
        forecast = model.predict(ahead)
    finally:
        np.random.set_state(state)
    half = (forecast["yhat_upper"] - forecast["yhat_lower"]).to_numpy() / 2
    return forecast["yhat"].to_numpy(), half / float(stats.norm.ppf(0.5 + WIDTH / 2))
