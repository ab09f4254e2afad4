"""Which cohorts a shop's funnel is cut by: the usual ones, those its people ask for, and those its own traffic asks for."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.vocabulary import DIMENSIONS

DimensionSet = tuple[str, ...]

EVERYONE: DimensionSet = ()

#: Combinations in which storefront faults usually show: a client platform, a campaign on it, a country's devices, a payment
#: provider in a browser, a version of it (which by itself says nothing: there is a 17 of each).
DEFAULT_PAIRS: tuple[DimensionSet, ...] = (
    ("os", "browser"),
    ("browser", "campaign"),
    ("os", "campaign"),
    ("os", "browser", "campaign"),
    ("device", "country"),
    ("browser", "payment_provider"),
    ("country", "payment_provider"),
    ("app_version", "browser"),
    ("browser", "browser_version"),
    ("os", "os_version"),
)

#: Everyone, every dimension by itself, the usual combinations.
DEFAULT_SETS: tuple[DimensionSet, ...] = (EVERYONE, *((name,) for name in DIMENSIONS), *DEFAULT_PAIRS)

#: Values a set counts by name; a set with more is cut to its largest. What keeps a large shop near 2,000 cohorts a minute.
NAMED_VALUES = 100
#: A value of a cut set with less of the day's sessions is pooled too: nothing in it could be told from noise.
LEAST_SHARE = 0.0005

#: Dimensions of which pairs may be chosen. Versions are left out: they are parts of a browser or system, and many; source and medium,
#: because they say less than the campaign, which the usual combinations hold.
CANDIDATES = (
    "device", "os", "browser", "country", "region", "campaign", "app_version", "landing_page", "new_or_returning",
    "payment_provider", "payment_method", "shipping_method",
)  # fmt: skip
#: A set adds 2 to 3 % to the cost of a roll-up.
MOST_CHOSEN = 4
#: The floor: a cohort of a pair counts from this share of the sessions on, and a pair is chosen from this share in such cohorts on.
LEAST_CELL, LEAST_CONTRIBUTION = 0.02, 0.5
#: What was chosen the day before stays down to this, so that its history has no holes.
STILL_CONTRIBUTION = 0.4
#: A cohort that holds more than this of either wider one says nothing that one does not say (an iPhone's Safari).
MOST_OF_WIDER = 0.8
#: With fewer sessions a share of 2 % is a matter of luck.
LEAST_SESSIONS = 500


def choose_pairs(
    sessions: Mapping[str, NDArray[np.str_]], taken: Sequence[DimensionSet], before: Sequence[DimensionSet] = ()
) -> list[tuple[DimensionSet, float]]:
    """Pairs worth a count of their own that are not `taken`, with what they contribute, the most first.

    `sessions` holds a value a session for each of CANDIDATES, "" where unknown. A pair contributes the share of all sessions that lie in
    cohorts of it large enough to be judged alone and smaller than either wider one: faults of these are diluted everywhere else. Of two
    pairs that differ in dimensions which say the same (a system and its one browser) only the first is chosen. `before` are those of the
    day before: they come first.
    """
    if len(next(iter(sessions.values()), ())) < LEAST_SESSIONS:
        return []
    coded = {name: np.unique(values, return_inverse=True) for name, values in sessions.items()}
    shares = {pair: _shares(*coded[pair[0]], *coded[pair[1]]) for pair in combinations((name for name in CANDIDATES if name in coded), 2)}
    alike = {frozenset(pair) for pair, (_, same) in shares.items() if same > MOST_OF_WIDER}
    found: list[tuple[DimensionSet, float]] = []
    for pair, (share, _) in sorted(shares.items(), key=lambda row: (row[0] not in before, -row[1][0])):
        if share < (STILL_CONTRIBUTION if pair in before else LEAST_CONTRIBUTION):
            continue
        if len(found) == MOST_CHOSEN:
            break
        known = {frozenset(other) for other in (*taken, *(chosen for chosen, _ in found))}
        if frozenset(pair) not in known and not any(len(other) == 2 and other ^ frozenset(pair) in alike for other in known):
            found.append((pair, share))
    return found


def _shares(names: NDArray[np.str_], one: NDArray[np.intp], other_names: NDArray[np.str_], other: NDArray[np.intp]) -> tuple[float, float]:
    """Shares of the sessions in cohorts of the pair's own, and in cohorts that are nearly the same as both wider ones."""
    cells = np.bincount(one * len(other_names) + other, minlength=len(names) * len(other_names)).reshape(len(names), len(other_names))
    rows, columns = cells.sum(axis=1)[:, None], cells.sum(axis=0)[None, :]
    known = (names != "")[:, None] & (other_names != "")[None, :]
    own = known & (cells >= LEAST_CELL * len(one)) & (cells <= MOST_OF_WIDER * np.minimum(rows, columns))
    same = known & (cells > MOST_OF_WIDER * np.maximum(rows, columns))
    return float(cells[own].sum() / len(one)), float(cells[same].sum() / len(one))
