"""Questions about single sessions: where those who left went, what failing ones did beside passing ones, what sets buyers apart.

Nothing here shows a person: a session is a letter, its events are names at seconds from its start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from funnelwatch.core.cohort import EVERYONE, Cohort
from funnelwatch.core.stats import rates
from funnelwatch.core.vocabulary import SESSION_DIMENSIONS, STEP_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.queries.ages import settled
from funnelwatch.store.queries.evidence import where
from funnelwatch.store.queries.funnels import number_of
from funnelwatch.store.queries.rollup_writes import COMMITTED, OF_FUNNEL
from funnelwatch.store.queries.span import Span
from funnelwatch.store.session_sql import ACTOR, OWNER

#: What somebody did within this long after the step is what they did instead of the next one.
_NEXT_MS = 30 * 60_000
#: Failing and passing sessions are matched on these.
_MATCHED = ("device", "os", "browser", "country")
_STRIP_EVENTS = 60
#: Failing sessions looked at for each one shown: not every one has a match.
_SAMPLED = 4


def drop_off(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, limit: int = 20) -> dict[str, Any]:
    """`{left, left_out, next: [{event, error_code, sessions, share, interval}]}`: the first thing those did who went no further than `step`.

    Event "" is leaving; page timings, which tell nothing of what somebody did, are passed over. `left` counts those that had the time to go
    on and did not, `left_out` those that may still.
    """
    trials = _Trials.of(client, span, step, cohort)
    rows = client.query(
        f"""
        SELECT event, code, toInt64(count()) AS sessions, toInt64(sum(sessions) OVER ()) FROM (
            SELECT stopped.session, argMinIf(events.name, (ts, message_id), after) AS event,
                argMinIf(events.error_code, (ts, message_id), after) AS code
            FROM (SELECT session, first_at, visitor_id, at FROM ({trials.sql}) WHERE NOT went_on) AS stopped
            LEFT JOIN (
                SELECT {_who(span)} AS actor, name, error_code, ts, message_id FROM events
                WHERE {_IN_SPAN} AND name != 'web_vital' LIMIT 1 BY message_id
            ) AS events ON events.actor = stopped.visitor_id
            GROUP BY stopped.session, stopped.first_at
        ) GROUP BY event, code ORDER BY sessions DESC, event, code LIMIT {{limit:UInt32}}
        """.replace("after)", "(ts > stopped.at AND ts <= addMilliseconds(stopped.at, {next:UInt32})))"),
        {**trials.params, "next": _NEXT_MS, "limit": limit},
    )
    left = rows.columns[3][0] if len(rows) else 0
    return {
        "left": left,
        "left_out": trials.may_still,
        "next": [
            {"event": event, "error_code": code, "sessions": count, "share": count / left, "interval": rates.wilson(count, left)}
            for event, code, count, _ in rows
        ],
    }  # fmt: skip


def strips(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, count: int = 5) -> dict[str, Any]:
    """`{left_out, pairs: [{failing, passing}]}` of sessions at `step`: one went no further, its match (same client, nearest in time) did.

    Each is `{dimensions, events: [{second, event, error_code}]}`. Nobody stands in two pairs; `passing` is None where nobody like it passed.
    """
    trials = _Trials.of(client, span, step, cohort)
    dims = ", ".join(_MATCHED)
    rows = client.query(
        f"""
        SELECT failing.visitor_id AS bad, toUnixTimestamp64Milli(failing.at) AS bad_at,
            groupArraySorted({int(count)})((abs(dateDiff('millisecond', failing.at, passing.at)), passing.session, passing.visitor_id,
                toUnixTimestamp64Milli(passing.at))) AS near,
            any([{", ".join(f"toString(failing.{name})" for name in _MATCHED)}]) AS alike
        FROM (SELECT * FROM ({trials.sql}) WHERE NOT went_on ORDER BY cityHash64(session) LIMIT {{sample:UInt32}}) AS failing
        LEFT JOIN (SELECT * FROM ({trials.sql}) WHERE went_on) AS passing USING ({dims})
        GROUP BY bad, bad_at ORDER BY bad_at
        """,
        {**trials.params, "sample": _SAMPLED * count},
    )
    pairs, taken = [], set[int]()
    for bad, bad_at, near, alike in rows:
        good = next((each for each in near if each[2] and each[1] not in taken), None)
        if good is not None:
            taken.add(good[1])
        pairs.append((bad, bad_at, good, alike))
    best = sorted(pairs, key=lambda pair: pair[2] is None)[:count]
    return {
        "left_out": trials.left_out,
        "pairs": [
            {"failing": _strip(client, span, bad, bad_at, alike), "passing": _strip(client, span, good[2], good[3], alike) if good else None}
            for bad, bad_at, good, alike in best
        ],
    }  # fmt: skip


def odds_ratios(client: Client, span: Span, step: str, cohort: Cohort = EVERYONE, least: int = 30) -> dict[str, Any]:
    """`{entered, converted, left_out, properties: [{dimension, value, ratio, interval, entered, converted}]}`: converters against the others.

    `ratio`: the odds of going on from `step` with the property over those without it; clearest first (by the end of the interval nearest
    to one). Values with fewer than `least` sessions are left out, and so (`left_out`) are sessions too young to tell.
    """
    trials = _Trials.of(client, span, step, cohort)
    dims = (*SESSION_DIMENSIONS, *STEP_DIMENSIONS)
    rows = list(client.query(
        f"""
        SELECT property.1 AS dimension, property.2 AS value, toInt64(count()) AS entered, toInt64(sum(went_on)) AS converted
        FROM ({trials.sql})
        ARRAY JOIN [('', ''), {", ".join(f"('{name}', toString({name}))" for name in dims)}] AS property
        WHERE value != '' OR dimension = '' GROUP BY dimension, value
        """,
        trials.params,
    ))  # fmt: skip
    total, all_converted = next(((entered, hits) for name, _, entered, hits in rows if name == ""), (0, 0))
    found = []
    for dimension, value, entered, hits in rows:
        if dimension and least <= entered < total:
            misses, rest_hits = entered - hits, all_converted - hits
            ratio, low, high = rates.odds_ratio(hits, misses, rest_hits, total - entered - rest_hits)
            found.append({"dimension": dimension, "value": value, "ratio": ratio, "interval": (low, high),
                          "entered": entered, "converted": hits})  # fmt: skip
    found.sort(key=lambda row: (-max(row["interval"][0], 1 / max(row["interval"][1], 1e-9)), row["dimension"], row["value"]))
    return {"entered": total, "converted": all_converted, "left_out": trials.left_out, "properties": found}


@dataclass(frozen=True, slots=True)
class _Trials:
    """Sessions of a cohort that arrived at a step and had the time to go on, as a subquery with its parameters."""

    sql: str
    params: dict[str, Any]
    left_out: int  # too young to tell
    may_still: int  # those of them that have not gone on

    @classmethod
    def of(cls, client: Client, span: Span, step: str, cohort: Cohort) -> Self:
        clause, values = where(cohort, "")
        number, sql = number_of(span.funnel, step), _trials(clause)
        if number == len(span.funnel.steps):
            raise ValueError(f"{step} is the funnel's last step: nobody goes on from there")
        old = settled(client, span, number)
        young = replace(span, from_minute=old.to_minute)
        counted = f"SELECT toInt64(count()), toInt64(countIf(NOT went_on)) FROM ({sql})"
        left_out, may_still = next(iter(client.query(counted, {**young.parameters(), **values, "step": number})))
        return cls(sql, {**old.parameters(), **values, "step": number}, left_out, may_still)


def _trials(clause: str) -> str:
    """Arrivals at the step in the span, each with whether it went on, and the session's dimensions at that moment."""
    dims = ", ".join(f"anyIf({name}, {_HERE}) AS {name}" for name in (*SESSION_DIMENSIONS, *STEP_DIMENSIONS))
    inner = ", ".join(f"journey.{name} AS {name}" for name in (*SESSION_DIMENSIONS, *STEP_DIMENSIONS))
    return f"""
        SELECT session, first_at, any(visitor) AS visitor_id, maxIf(moment, {_HERE}) AS at, max(number = {{step:UInt8}} + 1) AS went_on,
            max({_HERE} AND fits AND minute < {{end:UInt32}}) AS mine, {dims}
        FROM (
            SELECT session, first_at, visitor_id AS visitor, journey.at AS moment, step AS number, minute, {clause} AS fits, {inner}
            FROM journey
            WHERE {OF_FUNNEL} AND {COMMITTED} AND multi = '' AND name = '' AND step IN ({{step:UInt8}}, {{step:UInt8}} + 1)
              AND intDiv(toUnixTimestamp64Milli(known_at), 60000) <= {{as_of:UInt32}}
        ) GROUP BY session, first_at HAVING mine"""


def _strip(client: Client, span: Span, visitor: str, at: int, alike: Sequence[str]) -> dict[str, Any]:
    rows = client.query(
        f"""
        SELECT toFloat64(dateDiff('millisecond', min(ts) OVER (), ts)) / 1000 AS second, name, error_code FROM events
        WHERE {_IN_SPAN} AND {_who(span)} = {{visitor:String}}
          AND abs(dateDiff('millisecond', ts, fromUnixTimestamp64Milli({{at:Int64}}, 'UTC'))) <= {{next:UInt32}}
        ORDER BY ts, message_id LIMIT 1 BY message_id LIMIT {{limit:UInt32}}
        """,
        {**span.parameters(), "visitor": visitor, "at": at, "next": _NEXT_MS, "limit": _STRIP_EVENTS},
    )
    return {
        "dimensions": dict(zip(_MATCHED, alike, strict=True)),
        "events": [{"second": second, "event": event, "error_code": code} for second, event, code in rows],
    }


def _who(span: Span) -> str:
    """Whose event it is, as the sessions of the funnel are told apart."""
    return OWNER if span.funnel.count_by == "visitor" else ACTOR


_HERE = "number = {step:UInt8}"
#: The raw events around a span, by the primary key. Bots and tests are in no session.
_IN_SPAN = """project_id = {project:UInt32} AND NOT bot AND NOT test
    AND ts >= fromUnixTimestamp(toUInt32({from:UInt32} * 60)) - INTERVAL 1 HOUR AND ts < fromUnixTimestamp(toUInt32({to:UInt32} * 60)) + INTERVAL 1 HOUR
    AND toStartOfHour(ts) >= toStartOfHour(fromUnixTimestamp(toUInt32({from:UInt32} * 60))) - INTERVAL 1 HOUR"""
