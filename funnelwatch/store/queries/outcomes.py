"""What came of a funnel's sessions, from the minute roll-ups: orders and their money by currency, and trouble by step and class."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.vocabulary import ERROR_EVENTS
from funnelwatch.store.client import Client
from funnelwatch.store.queries import funnels
from funnelwatch.store.queries.latency import IN_SPAN, step_name
from funnelwatch.store.queries.span import Span

#: Money is kept to this.
_CENTS = Decimal("0.0001")


def orders(client: Client, span: Span, cohort: Cohort = EVERYONE) -> list[dict[str, Any]]:
    """`{currency, orders, units, revenue, average, per_session, refunds, refunded, steps}` by currency, most orders first; "" is an unknown one.

    `revenue` and `refunded` are gross as sent and apart, `average` is revenue an order, `per_session` by each arrival at the first step in
    the same time, whatever its currency (None without one). `steps` has `{step, orders, units, revenue}` by the deepest step reached when
    the order came ("" before the first). Raises ValueError for a cohort `funnels.stored_cohort` does not know.
    """
    by_currency: dict[str, list[tuple[str, str, int, int, int, Decimal]]] = defaultdict(list)
    for currency, step, name, events, count, units, money in _sums(client, span, cohort, ["purchase", "refund"], "currency"):
        by_currency[currency].append((step_name(span, step), name, events, count, units, money))
    sessions, _ = funnels.counts_of(client, span, cohort).get(1, (0, 0))
    found = []
    for currency, rows in by_currency.items():
        bought, returned = ([row for row in rows if row[1] == name] for name in ("purchase", "refund"))
        count, revenue = sum(row[3] for row in bought), sum((row[5] for row in bought), Decimal(0))
        found.append({
            "currency": currency, "orders": count, "units": sum(row[4] for row in bought), "revenue": revenue,
            "average": (revenue / count).quantize(_CENTS) if count else None,
            "per_session": (revenue / sessions).quantize(_CENTS) if sessions else None,
            "refunds": sum(row[2] for row in returned), "refunded": sum((row[5] for row in returned), Decimal(0)),
            "steps": [{"step": step, "orders": n, "units": units, "revenue": money} for step, _, _, n, units, money in bought],
        })  # fmt: skip
    return sorted(found, key=lambda row: (-row["orders"], row["currency"]))


def trouble(client: Client, span: Span, cohort: Cohort = EVERYONE) -> list[dict[str, Any]]:
    """`{step, event, error_code, events}`: failed payments, refused coupons, errors and the like, in the funnel's order, most frequent first.

    By the deepest step reached when it happened ("" before the first). Raises ValueError for a cohort `funnels.stored_cohort` does not know.
    """
    rows = _sums(client, span, cohort, list(ERROR_EVENTS), "error_code")
    return [{"step": step_name(span, step), "event": name, "error_code": code, "events": events} for code, step, name, events, *_ in rows]


def _sums(client: Client, span: Span, cohort: Cohort, names: list[str], by: str) -> list[tuple[Any, ...]]:
    """(value of column `by`, step, name, events, orders, units, money). An order is one row of one minute, so orders add up."""
    dims, joined = funnels.stored_cohort(client, span, cohort)
    rows = client.query(
        f"""
        SELECT {by}, step, name, toInt64(sum(events)) AS n, toInt64(sum(orders)), toInt64(sum(units)), toDecimal64(sum(revenue), 4)
        FROM event_minute WHERE {IN_SPAN} AND dims = {{dims:String}} AND value IN {{values:Array(String)}} AND name IN {{names:Array(String)}}
        GROUP BY {by}, step, name ORDER BY step, n DESC, name, {by}
        """,
        {**span.parameters(), "dims": dims, "values": joined, "names": names},
    )
    return list(rows)
