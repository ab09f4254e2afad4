"""Questions about single sessions: where those who left went, what failing ones did beside passing ones, what sets buyers apart.

Nothing here shows a person: a session is a letter, its events are names at seconds from its start.
"""

from collections.abc import Sequence
from typing import Any

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.stats import rates
from funnelwatch.core.vocabulary import SESSION_DIMENSIONS, STEP_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.queries.evidence import where
from funnelwatch.store.queries.funnels import Span, number_of
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL
from funnelwatch.store.session_sql import ACTOR

#: What somebody did within this long after the step is what they did instead of the next one.
_NEXT_MS = 30 * 60_000
#: Failing and passing sessions are matched on these.
_MATCHED = ("device", "os", "browser", "country")
_STRIP_EVENTS = 60


def drop_off(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, limit: int = 20) -> list[dict[str, Any]]:
    """`{event, error_code, sessions, share}`: the first thing those did who reached `step` and not the next one; event "" is leaving."""
    clause, values = where(cohort, "")
    rows = client.query(
        f"""
        SELECT event, code, count() AS sessions, sessions / sum(sessions) OVER () AS share FROM (
            SELECT stopped.session, argMinIf(events.name, (ts, message_id), after) AS event,
                argMinIf(events.error_code, (ts, message_id), after) AS code
            FROM (SELECT session, visitor_id, at FROM ({_trials(clause)}) WHERE NOT went_on) AS stopped
            LEFT JOIN (
                SELECT {ACTOR} AS actor, name, error_code, ts, message_id FROM events WHERE {_IN_SPAN} LIMIT 1 BY message_id
            ) AS events ON events.actor = stopped.visitor_id
            GROUP BY stopped.session, stopped.at
        ) GROUP BY event, code ORDER BY sessions DESC, event, code LIMIT {{limit:UInt32}}
        """.replace("after)", "(ts > stopped.at AND ts <= addMilliseconds(stopped.at, {next:UInt32})))"),
        {**_params(span, step), **values, "next": _NEXT_MS, "limit": limit},
    )
    return [{"event": event, "error_code": code, "sessions": count, "share": share} for event, code, count, share in rows]


def strips(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, count: int = 5) -> list[dict[str, Any]]:
    """Pairs `{failing, passing}` of sessions that reached `step`: one went no further, its match (same client, nearest in time) did.

    Each is `{dimensions, events: [{second, event, error_code}]}`, or `passing` None where nobody like it passed.
    """
    clause, values = where(cohort, "")
    dims = ", ".join(_MATCHED)
    pairs = client.query(
        f"""
        SELECT failing.visitor_id AS bad, toUnixTimestamp64Milli(failing.at) AS bad_at,
            argMin((passing.visitor_id, toUnixTimestamp64Milli(passing.at)), abs(dateDiff('second', failing.at, passing.at))) AS good,
            any([{", ".join(f"toString(failing.{name})" for name in _MATCHED)}]) AS alike
        FROM (SELECT * FROM ({_trials(clause)}) WHERE NOT went_on ORDER BY cityHash64(session) LIMIT {{count:UInt32}}) AS failing
        LEFT JOIN (SELECT * FROM ({_trials(clause)}) WHERE went_on) AS passing USING ({dims})
        GROUP BY bad, bad_at ORDER BY bad_at
        """,
        {**_params(span, step), **values, "count": count},
    )
    return [
        {
            "failing": _strip(client, span, bad, bad_at, alike),
            "passing": _strip(client, span, good[0], good[1], alike) if good[0] else None,
        }
        for bad, bad_at, good, alike in pairs
    ]  # fmt: skip


def odds_ratios(
    client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, least: int = 30,
) -> list[dict[str, Any]]:  # fmt: skip
    """How the odds of going on from `step` differ for every dimension value: `{dimension, value, ratio, interval, entered, converted}`.

    Clearest first (by the end of the interval nearest to one). Values with fewer than `least` sessions are left out.
    """
    clause, values = where(cohort, "")
    dims = (*SESSION_DIMENSIONS, *STEP_DIMENSIONS)
    rows = list(client.query(
        f"""
        SELECT property.1 AS dimension, property.2 AS value, toInt64(count()) AS entered, toInt64(sum(went_on)) AS converted
        FROM ({_trials(clause)})
        ARRAY JOIN [('', ''), {", ".join(f"('{name}', toString({name}))" for name in dims)}] AS property
        WHERE value != '' OR dimension = '' GROUP BY dimension, value
        """,
        {**_params(span, step), **values},
    ))  # fmt: skip
    total, all_converted = next(((entered, hits) for name, _, entered, hits in rows if name == ""), (0, 0))
    found = []
    for dimension, value, entered, hits in rows:
        if dimension and least <= entered < total:
            misses, rest_hits = entered - hits, all_converted - hits
            ratio, low, high = rates.odds_ratio(hits, misses, rest_hits, total - entered - rest_hits)
            found.append({"dimension": dimension, "value": value, "ratio": ratio, "interval": (low, high),
                          "entered": entered, "converted": hits})  # fmt: skip
    return sorted(found, key=lambda row: -max(row["interval"][0], 1 / max(row["interval"][1], 1e-9)))


def _trials(clause: str) -> str:
    """Sessions that arrived at the step in the span, each with whether it went on, and its dimensions at that moment."""
    dims = ", ".join(f"anyIf({name}, {_HERE}) AS {name}" for name in (*SESSION_DIMENSIONS, *STEP_DIMENSIONS))
    inner = ", ".join(f"journey.{name} AS {name}" for name in (*SESSION_DIMENSIONS, *STEP_DIMENSIONS))
    return f"""
        SELECT session, any(visitor) AS visitor_id, maxIf(moment, {_HERE}) AS at, max(number = {{step:UInt8}} + 1) AS went_on,
            max({_HERE} AND {clause.replace("journey.", "")} AND minute < {{end:UInt32}}) AS mine, {dims}
        FROM (
            SELECT session, first_at, visitor_id AS visitor, journey.at AS moment, step AS number, minute, {inner}
            FROM journey
            WHERE {OF_FUNNEL} AND {COMMITTED} AND multi = '' AND name = '' AND step IN ({{step:UInt8}}, {{step:UInt8}} + 1)
              AND intDiv(toUnixTimestamp64Milli(known_at), 60000) <= {{as_of:UInt32}}
        ) GROUP BY session, first_at HAVING mine"""


def _strip(client: Client, span: Span, visitor: str, at: int, alike: Sequence[str]) -> dict[str, Any]:
    rows = client.query(
        f"""
        SELECT toFloat64(dateDiff('millisecond', min(ts) OVER (), ts)) / 1000 AS second, name, error_code FROM events
        WHERE {_IN_SPAN} AND {ACTOR} = {{visitor:String}}
          AND abs(dateDiff('millisecond', ts, fromUnixTimestamp64Milli({{at:Int64}}, 'UTC'))) <= {{next:UInt32}}
        ORDER BY ts, message_id LIMIT 1 BY message_id LIMIT {{limit:UInt32}}
        """,
        {**span.parameters(), "visitor": visitor, "at": at, "next": _NEXT_MS, "limit": _STRIP_EVENTS},
    )
    return {
        "dimensions": dict(zip(_MATCHED, alike, strict=True)),
        "events": [{"second": second, "event": event, "error_code": code} for second, event, code in rows],
    }


def _params(span: Span, step: str) -> dict[str, Any]:
    return {**span.parameters(), "step": number_of(span.funnel, step)}


_HERE = "number = {step:UInt8}"
#: The raw events around a span, by the primary key. Bots and tests are in no session.
_IN_SPAN = """project_id = {project:UInt32} AND NOT bot AND NOT test
    AND ts >= fromUnixTimestamp(toUInt32({from:UInt32} * 60)) - INTERVAL 1 HOUR AND ts < fromUnixTimestamp(toUInt32({to:UInt32} * 60)) + INTERVAL 1 HOUR
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp(toUInt32({from:UInt32} * 60))) - INTERVAL 1 HOUR"""
