"""What moved the predicted conversion from before to since: SHAP on a gradient-boosted session model.

The model learns P(converted | session) over both periods without knowing the period. Shapley values (Lundberg & Lee 2017; exact
for trees, Lundberg et al. 2020) of the sessions since minus those before say which features carried the change.
"""

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.diagnosis import Contribution, SessionTable

#: Below this many sessions on either side a tree model of a dozen features only memorises.
MIN_SESSIONS = 60
#: Shapley values of this many sessions a side give means steady to about a tenth of a point.
SAMPLE = 400
#: Contributions worth a line.
MIN_POINTS = 0.001
MAX_LINES = 8


def contributions(table: SessionTable, seed: int = 0) -> tuple[Contribution, ...]:
    """Features by falling size of their part in the change, adding up to the change the model predicts; empty when too few sessions."""
    before, since = np.flatnonzero(~table.since), np.flatnonzero(table.since)
    if min(len(before), len(since)) < MIN_SESSIONS or table.converted.all() or not table.converted.any():
        return ()
    import shap
    from sklearn.ensemble import HistGradientBoostingClassifier

    names = list(table.columns)
    features = np.column_stack([table.columns[name] for name in names])
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, min_samples_leaf=20, random_state=seed)
    model.fit(features, table.converted)
    random = np.random.default_rng(seed)
    picked = [random.choice(side, min(SAMPLE, len(side)), replace=False) for side in (before, since)]
    explainer = shap.TreeExplainer(model)
    old, new = (np.asarray(explainer.shap_values(features[rows])).mean(axis=0) for rows in picked)
    points = _to_points(new - old, *(model.predict_proba(features[rows])[:, 1].mean() for rows in picked))
    rows = [
        Contribution(name, float(part), float(np.nanmean(features[before, i])), float(np.nanmean(features[since, i])))
        for i, (name, part) in enumerate(zip(names, points, strict=True))
        if abs(part) >= MIN_POINTS and not np.isnan(features[:, i]).all()
    ]
    return tuple(sorted(rows, key=lambda row: -abs(row.points))[:MAX_LINES])


def _to_points(log_odds: NDArray[np.float64], before: float, since: float) -> NDArray[np.float64]:
    """Shares of a log-odds change rescaled to add up to the change in probability."""
    total = log_odds.sum()
    if abs(total) < 1e-9:
        return np.zeros_like(log_odds)
    return np.asarray(log_odds * (since - before) / total)
