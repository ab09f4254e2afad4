"""Which sessions have had the time to go on: a young one that has not is not lost yet."""

from dataclasses import replace

import numpy as np

from funnelwatch.store.client import Client
from funnelwatch.store.queries import arrival
from funnelwatch.store.queries.span import Span

#: Share of the conversions that are known by then.
_MOST = 0.95


def settled(client: Client, span: Span, *steps: int) -> Span:
    """The span without the minutes in which an arrival at one of `steps` (from 1) may still go on.

    By then 95 % of those who ever go on have, as learned; before anything is learned, by the funnel's window.
    """
    curves = arrival.learn(client, span.funnel, span.run_id, span.as_of_minute)
    learned = (curves.wait(step + 1) for step in steps)
    wait = max(span.funnel.window_minutes if curve is None else int(np.searchsorted(curve.cumulative, _MOST)) for curve in learned)
    return replace(span, to_minute=max(min(span.to_minute, span.as_of_minute - wait), span.from_minute))


def comparable(client: Client, before: Span, after: Span) -> tuple[Span, Span]:
    """Two spans in which as many conversions are still to come.

    Of equally long ones the one is seen as it was when it was as old as the other is; of others only the settled part counts.
    """
    if before.to_minute - before.from_minute == after.to_minute - after.from_minute:
        age = min(span.as_of_minute - span.to_minute for span in (before, after))
        return replace(before, as_of_minute=before.to_minute + age), replace(after, as_of_minute=after.to_minute + age)
    steps = range(1, len(after.funnel.steps))
    return settled(client, before, *steps), settled(client, after, *steps)
