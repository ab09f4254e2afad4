"""How long things took, from the roll-ups' sketches: at each step for a cohort, and by the request that was slow for everyone."""

from typing import Any

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.store.client import Client
from funnelwatch.store.queries.funnels import stored_cohort
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL
from funnelwatch.store.queries.span import Span

#: Relative error of the quantiles at most: the sketches (quantilesBFloat16) keep eight binary digits of a duration, cut off.
ACCURACY = 1 / 128

#: Rows of what happened in a span, as known at its end.
IN_SPAN = f"{OF_FUNNEL} AND minute < {{end:UInt32}} AND minute + lag <= {{as_of:UInt32}} AND {COMMITTED}"
_QUANTILES = "quantilesBFloat16Merge(0.5, 0.95)(latency) AS q"


def by_step(client: Client, span: Span, cohort: Cohort = EVERYONE) -> list[dict[str, Any]]:
    """`{step, event, p50_ms, p95_ms}` in the funnel's order, by the deepest step reached ("" before the first) and the event that was timed.

    Raises ValueError for a cohort `stored_cohort` does not know.
    """
    dims, joined = stored_cohort(client, span, cohort)
    rows = client.query(
        f"""
        SELECT step, name, {_QUANTILES} FROM event_minute WHERE {IN_SPAN} AND dims = {{dims:String}} AND value IN {{values:Array(String)}}
        GROUP BY step, name HAVING NOT isNaN(q[1]) ORDER BY step, name
        """,
        {**span.parameters(), "dims": dims, "values": joined},
    )
    return [{"step": step_name(span, step), "event": event, "p50_ms": float(q[0]), "p95_ms": float(q[1])} for step, event, q in rows]


def by_endpoint(client: Client, span: Span, limit: int = 50) -> list[dict[str, Any]]:
    """`{endpoint, step, event, events, p50_ms, p95_ms}`, slowest first: requests the SDK reports (failed or slow) and web vitals."""
    rows = client.query(
        f"""
        SELECT endpoint, step, name, toInt64(sum(events)) AS count, {_QUANTILES} FROM endpoint_minute WHERE {IN_SPAN}
        GROUP BY endpoint, step, name ORDER BY q[2] DESC, endpoint, step LIMIT {{limit:UInt32}}
        """,
        {**span.parameters(), "limit": limit},
    )
    return [
        {"endpoint": endpoint, "step": step_name(span, step), "event": event, "events": count, "p50_ms": float(q[0]), "p95_ms": float(q[1])}
        for endpoint, step, event, count, q in rows
    ]  # fmt: skip


def step_name(span: Span, step: int) -> str:
    """Of its number in the roll-ups; "" before the first."""
    return span.funnel.steps[step - 1].name if step else ""
