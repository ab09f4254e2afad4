"""One span beside another: two periods, two cohorts, and the cohorts that moved most."""

from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.stats import rates
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels
from funnelwatch.store.queries.ages import comparable
from funnelwatch.store.queries.funnels import steps_of
from funnelwatch.store.queries.span import Span

#: Share of the movers that may have moved by chance.
_FALSE = 0.05


def compared(client: Client, before: Span, after: Span, was: Cohort = EVERYONE, now: Cohort = EVERYONE) -> dict[str, Any]:
    """`{before, after, steps}`: the parts of the spans that compare (as `frame`), and `funnels.compare` of cohort `was` then and `now` now."""
    before, after = comparable(client, before, after)
    rows = funnels.compare(funnels.counts(client, before, was), funnels.counts(client, after, now))
    return {"before": frame(before), "after": frame(after), "steps": rows}


def movers(client: Client, before: Span, after: Span, least_entered: int = 50, limit: int = 20) -> dict[str, Any]:
    """`{before, after, movers}`: cohorts whose step rates differ beyond chance between the spans, by conversions gained or lost, largest first.

    A mover is a row of `funnels.compare` with its `cohort` and the `conversions` that its difference makes in the later span. Of thousands
    of cohorts many differ by chance: of those named one in twenty does (Benjamini and Hochberg 1995).
    """
    before, after = comparable(client, before, after)
    then, since = (
        {cohort: steps_of(span.funnel, found, {}) for cohort, found in funnels.counts_of_all(client, span).items()} for span in (before, after)
    )
    rows = [
        {**row, "cohort": cohort.to_json(), "conversions": row["difference"] * row["after"]["entered"]}
        for cohort in then.keys() & since.keys()
        for row in funnels.compare(then[cohort], since[cohort])
        if min(row["before"]["entered"], row["after"]["entered"]) >= least_entered
    ]
    sides = [[row[side][count] for row in rows] for side in ("before", "after") for count in ("converted", "entered")]
    by_chance = false_discovery_control([rates.p_value(*counts) for counts in zip(*sides, strict=True)]) if rows else np.zeros(0)
    moved = [row for row, chance in zip(rows, by_chance, strict=True) if chance <= _FALSE]
    moved.sort(key=lambda row: (-abs(row["conversions"]), str(row["cohort"]), row["step"]))
    return {"before": frame(before), "after": frame(after), "movers": moved[:limit]}


def frame(span: Span) -> dict[str, int]:
    """Which minutes since the epoch were counted, [from, to), and up to the end of which minute what was received counts."""
    return {"from": span.from_minute, "to": span.to_minute, "as_of": span.as_of_minute}
