"""The SQL that reconstructs sessions from events, by the rules stated in `queries.journey`."""

from dataclasses import dataclass, field

from funnelwatch import config
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.vocabulary import ERROR_EVENTS, MULTI_DIMENSIONS, SESSION_DIMENSIONS, STEP_DIMENSIONS
from funnelwatch.store.native import Column
from funnelwatch.store.scope import Scope
from funnelwatch.store.step_filter import matches

REENTRY_MINUTES = 240
#: An order's twins (browser, server, webhook) are looked for this far around.
ORDER_TWIN_MS = 24 * 3_600_000
NOTEWORTHY = (*ERROR_EVENTS, "purchase", "refund")
_MINUTE_MS = 60_000
#: Whose event it is; the same in a funnel counted by visitor.
ACTOR = "if(visitor_id != '', visitor_id, user_id)"
#: Whose session it is in a funnel counted by visitor: a user's devices are one.
OWNER = "if(user_id != '', user_id, visitor_id)"
_DERIVED = ("landing_page", "new_or_returning")
_CARRIED = tuple(name for name in SESSION_DIMENSIONS if name not in _DERIVED)
_MULTI_VALUES = {
    "sku": "item_sku",
    "category": "arrayDistinct(arrayFilter(x -> x != '', arrayPushBack(item_category, category)))",
    "variant": "variants",
}


def reach_minutes(funnel: FunnelDef) -> int:
    """How far before a minute the events lie that it may rest on; as far after an event lie the minutes it may change."""
    return funnel.window_minutes + max(REENTRY_MINUTES, funnel.window_minutes)


@dataclass
class SessionSql:
    """The statements over one scope. Values go in as parameters (`params`), names of columns come from the closed vocabulary."""

    scope: Scope
    multi: tuple[str, ...]
    params: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scope, funnel = self.scope, self.scope.funnel
        if not set(self.multi) <= set(MULTI_DIMENSIONS):
            raise ValueError(f"not all multi-valued dimensions: {self.multi}")
        self.params = {
            "project": funnel.project_id, "funnel": funnel.id, "funnel_version": funnel.version, "run": scope.run_id,
            "from": scope.from_minute * _MINUTE_MS, "to": scope.to_minute * _MINUTE_MS,
            "read_from": (scope.from_minute - reach_minutes(funnel)) * _MINUTE_MS,
            "window": funnel.window_minutes * _MINUTE_MS,
            "reentry": max(REENTRY_MINUTES, funnel.window_minutes) * _MINUTE_MS,
            "gap": config.get_int("session_gap_minutes") * _MINUTE_MS,
            "as_of": scope.as_of_ms if scope.as_of_ms is not None else 2**62 // 1_000_000,
            "noteworthy": list(NOTEWORTHY), "twin": ORDER_TWIN_MS, "multi": ["", *self.multi],
            "shard": scope.shard[0], "shards": scope.shard[1],
        }  # fmt: skip

    @property
    def _by_visitor(self) -> bool:
        return self.scope.funnel.count_by == "visitor"

    @property
    def _owner(self) -> str:
        """Whose session an event is in."""
        return OWNER if self._by_visitor else ACTOR

    def count(self) -> str:
        return f"SELECT count() FROM events WHERE {self._counted('{read_from:Int64}', '{to:Int64}')}"

    def matched(self) -> str:
        """One count a step and an exclusion."""
        rules = [*self.scope.funnel.steps, *self.scope.funnel.exclusions]
        counts = ", ".join(f"uniqExactIf(message_id, {matches(rule, f'm{i}', self.params)}) AS n{i}" for i, rule in enumerate(rules))
        return f"SELECT {counts} FROM events WHERE {self._counted('{from:Int64}', '{to:Int64}')}"

    def seen(self) -> str:
        """Who did anything in the minutes asked for: the visitors of their events, of a server's orders the browser's."""
        seen, around = self._counted("{from:Int64}", "{to:Int64}"), self._counted("{from:Int64} - {twin:Int64}", "{to:Int64} + {twin:Int64}")
        return f"""
        SELECT DISTINCT arrayJoin([{ACTOR}, {OWNER}]) AS actor FROM events
        WHERE {seen} OR {around} AND name = 'purchase' AND order_id IN (
            SELECT order_id FROM events WHERE {seen} AND name = 'purchase' AND channel = 'server' AND order_id != '')"""

    def only(self, actors: Column) -> None:
        """Read no other visitors than these."""
        self.params["actors"] = list(actors)

    def insert(self) -> str:
        dims = ", ".join((*SESSION_DIMENSIONS, *STEP_DIMENSIONS))
        columns = f"""
    {{project:UInt32}}, {{funnel:UInt32}}, {{funnel_version:UInt32}}, {{run:String}}, {{version:UInt64}},
    intDiv(p.at, {_MINUTE_MS}), {{multi:Array(String)}}[family + 1], multi_value, cityHash64(actor, session), actor, p.step, p.name,
    {_time("p.at")}, {_time("p.known")}, {_time("p.prev")}, {_time("f")},
    p.code, p.order_id, p.value, p.units, p.duration, p.endpoint,
    {self._dimensions_at_point()}, keep_days"""
        return f"""
INSERT INTO journey
    (project_id, funnel_id, funnel_version, run_id, version, minute, multi, multi_value, session, visitor_id, step, name, at,
     known_at, prev_at, first_at, error_code, order_id, value, units, duration_ms, endpoint, {dims}, retention_days)
{self._over_points(columns)}
"""

    def arrivals(self) -> str:
        """(step, arrivals, those of them whose arrival at the step before lies in the scope too)."""
        columns = "p.step AS step, count(), countIf(p.prev >= {from:Int64})"
        return f"{self._over_points(columns)} AND p.name = '' GROUP BY step"

    def _over_points(self, columns: str) -> str:
        return f"""
WITH
    orders AS ({self._orders()}),
    starts AS ({self._starts()})
SELECT {columns}
FROM ({self._points()})
ARRAY JOIN points AS p
WHERE p.at >= {{from:Int64}} AND p.at < {{to:Int64}} AND p.at >= since"""

    def _orders(self) -> str:
        """Each order's first purchase event, and the browser's, whose session the server's twin joins."""
        return f"""
        SELECT order_id AS o_id,
            argMin(message_id, (ts, message_id)) AS o_first,
            argMinIf(({ACTOR}, session_id, {_ms("ts")}, {_ms("received_at")}, {self._owner}), (ts, message_id), channel != 'server') AS twin_of
        FROM events
        WHERE {self._counted("{from:Int64} - {twin:Int64}", "{to:Int64} + {twin:Int64}")} AND name = 'purchase' AND order_id != ''
        GROUP BY order_id"""

    def _starts(self) -> str:
        """Where each visitor's sessions begin, for events that came without the client's session id.

        A server's order may come before its twin in the browser: the cuts up to that one count too, so they are read ahead.
        """
        return f"""
        SELECT {ACTOR} AS s_actor, arraySort(groupUniqArray({_ms("ts")})) AS s_ts,
            arrayFilter((t, before) -> t - before > {{gap:Int64}}, s_ts, arrayPopBack(arrayPushFront(s_ts, toInt64(-{2**60})))) AS s_starts
        FROM events
        WHERE {self._counted("{read_from:Int64}", "{to:Int64} + {twin:Int64}")} AND session_id = '' AND channel != 'server'
            AND {_SHARD.format("s_actor")} {self._only("s_actor")}
        GROUP BY s_actor"""

    def _events(self) -> str:
        """The events that count, each with the actor and session it belongs to and the steps it matches."""
        steps = ", ".join(
            f"in_funnel AND ({matches(step, f's{k}', self.params)}) AS s{k}" for k, step in enumerate(self.scope.funnel.steps, 1)
        )
        exclusions = " OR ".join(matches(step, f"x{k}", self.params) for k, step in enumerate(self.scope.funnel.exclusions)) or "0"
        dims = ", ".join((*_CARRIED, *STEP_DIMENSIONS))
        derived = "client_session != '', client_session, concat('@', toString(arrayLast(s -> s <= at_session, s_starts)))"
        session = "''" if self._by_visitor else derived
        return f"""
        SELECT
            {_IS_TWIN} AS twin,
            if(twin, twin_of.5, {self._owner}) AS actor,
            if(twin, twin_of.1, {ACTOR}) AS visitor,
            twin OR channel != 'server' OR session_id != '' AS in_funnel,
            if(twin, twin_of.3, {_ms("ts")}) AS at_session,
            if(twin, twin_of.2, session_id) AS client_session,
            multiIf(NOT in_funnel, concat('#', message_id), {session}) AS session,
            {_ms("ts")} AS t, greatest({_ms("received_at")}, if(twin, twin_of.4, toInt64(0))) AS received,
            bitShiftLeft(toUInt64(t), 16) + cityHash64(message_id) % 65536 AS ord,
            message_id, name, error_code, order_id, value, duration_ms, page_path, retention_days, endpoint,
            toUInt32(arraySum(x -> greatest(x, 0), item_quantity)) AS units,
            CAST([{", ".join(_MULTI_VALUES[name] for name in self.multi)}], 'Array(Array(String))') AS vals,
            (name IN {{noteworthy:Array(String)}} OR duration_ms IS NOT NULL)
                AND (name != 'purchase' OR order_id = '' OR message_id = o_first) AS moment,
            {steps}, in_funnel AND ({exclusions}) AS excluded, {dims}
        FROM events
        LEFT JOIN orders ON order_id = o_id
        LEFT JOIN starts ON if({_IS_TWIN}, twin_of.1, {ACTOR}) = s_actor
        WHERE {self._counted("{read_from:Int64}", "{to:Int64}")} {self._only("actor")}
            AND {_SHARD.format("actor")}"""

    def _sessions(self) -> str:
        """One row a session: the times of its steps and moments in order, and where each dimension's value came from."""
        count = len(self.scope.funnel.steps)
        steps = ",\n            ".join(f"arraySort(groupArrayIf((t, received, vals), s{k}))" for k in range(1, count + 1))
        first = ",\n            ".join(
            f"argMinIf({d}, ord, {d} != '') AS v_{d}, minIf(ord, {d} != '') AS ord_{d}" for d in (*_CARRIED, "page_path")
        )
        last = ",\n            ".join(f"arraySort(groupArrayIf((ord, {d}), {d} != '')) AS a_{d}" for d in STEP_DIMENSIONS)
        counted = " OR ".join(["moment", *(f"s{k}" for k in range(1, count + 1))])
        families = [
            f"arrayMap((value, since) -> ({i}, value, since), seen_{i}.1, seen_{i}.2)" for i in range(1, len(self.multi) + 1)
        ]
        seen = "".join(
            f"minMapIf(vals[{i}], arrayWithConstant(length(vals[{i}]), t), {counted}) AS seen_{i},\n            "
            for i in range(1, len(self.multi) + 1)
        )
        # of several devices the one that came first: what comes later must not change what was rolled up
        visitor = "argMin(visitor, ord)" if self._by_visitor else "any(visitor)"
        values = f"arrayConcat([(0, '', toInt64(0))], {', '.join(families)})" if families else "[(0, '', toInt64(0))]"
        return f"""
        SELECT actor, session, min(t) AS began, {visitor} AS visitor, max(retention_days) AS keep_days,
            [{steps}] AS reached,
            arraySort(groupArrayIf((t, received, vals), excluded)) AS exclusions,
            arrayCompact(m -> m.2, arraySort(m -> (m.2, m.3), groupArrayIf((t, message_id, received, name, error_code, order_id,
                ifNull(value, toDecimal64(0, 4)), units, duration_ms, vals, endpoint), moment))) AS moments,
            {seen}{values} AS family_values,
            {first},
            {last}
        FROM ({self._events()})
        GROUP BY actor, session
        HAVING max(t) >= {{from:Int64}}"""

    def _first_seen(self) -> str:
        return f"""
        SELECT visitor_id AS n_visitor, {_ms("min(first_ts)")} AS n_first FROM visitors
        WHERE project_id = {{project:UInt32}} {"" if self._by_visitor else self._only("visitor_id")} GROUP BY n_visitor"""

    def _points(self) -> str:
        """One row an entry (and value): the greedy walk through the steps, then arrivals and moments as one list of points."""
        return f"""
        SELECT *,
            arrayConcat(
                arrayMap((step, at, known, before) -> {_ARRIVAL},
                    arrayEnumerate(arrived), arrived, arrayMap(k -> arrayMax(arraySlice(known, 1, k)), arrayEnumerate(arrived)),
                    arrayPopBack(arrayPushFront(arrived, toInt64(0)))),
                arrayMap(m -> {_MOMENT}, arrayFilter(m -> m.1 >= opens AND m.1 < closes AND {_BELONGS.format(x='m.10')}, moments))
            ) AS points
        FROM (
            SELECT *,
                arrayMap(h -> h.2, hops) AS known,
                arrayFilter(t -> f > 0 AND t <= f + {{window:Int64}} AND t < ends, arrayMap(h -> h.1, hops)) AS arrived
            FROM (
                SELECT *, arrayPopFront(arrayFold(
                    (before, step) -> arrayPushBack(before, arrayFirst(x -> x.1 >= before[-1].1, arrayPushBack(step, {_NEVER}))),
                    walked, [(toInt64(f), toInt64(0))])) AS hops
                FROM ({self._entries()})
            )
        )"""

    def _entries(self) -> str:
        """One row an entry into the funnel, or one with f = 0 for a session without any."""
        return f"""
        SELECT *,
            arrayJoin(if(empty(entries), [toInt64(0)], entries)) AS f,
            if(f = 0 OR f = entries[1], toInt64(0), f) AS opens,
            arrayFirst(x -> x > f, arrayPushBack(if(f = 0, [], entries), toInt64({2**60}))) AS closes,
            arrayFirst(x -> x.1 >= f AND {_BELONGS.format(x='x.3')}, arrayPushBack(exclusions, {_NEVER_EXCLUDED})).1 AS ends
        FROM (
            SELECT *,
                arrayMap(step -> arrayMap(x -> (x.1, x.2), arrayFilter(x -> {_BELONGS.format(x='x.3')}, step)), reached) AS walked,
                arrayDistinct(arrayMap(x -> x.1, walked[1])) AS firsts,
                arrayFilter((t, before) -> t - before > {{reentry:Int64}}, firsts,
                            arrayPopBack(arrayPushFront(firsts, toInt64(-{2**60})))) AS entries
            FROM (
                SELECT *, arrayJoin(family_values) AS family_value, family_value.1 AS family, family_value.2 AS multi_value,
                    family_value.3 AS since
                FROM ({self._sessions()}) AS sessions
                LEFT JOIN ({self._first_seen()}) AS seen ON visitor = n_visitor
            )
        )"""

    def _dimensions_at_point(self) -> str:
        known = "bitShiftRight(ord_{d}, 16) <= p.at"
        parts = [f"if({known.format(d=d)}, v_{d}, '')" for d in _CARRIED]
        parts.append(f"if({known.format(d='page_path')}, v_page_path, '')")
        parts.append("multiIf(n_first = 0, '', n_first < began, 'returning', 'new')")
        parts += [f"arrayLast(x -> bitShiftRight(x.1, 16) <= p.at, a_{d}).2" for d in STEP_DIMENSIONS]
        return ",\n    ".join(parts)

    def _counted(self, lower: str, upper: str) -> str:
        start, end = (f"fromUnixTimestamp64Milli(toInt64({edge}), 'UTC')" for edge in (lower, upper))
        return (
            f"project_id = {{project:UInt32}} AND ts >= {start} AND ts < {end} "
            f"AND toStartOfHour(ts) >= toStartOfHour({start}) AND toStartOfHour(ts) <= toStartOfHour({end}) "
            "AND NOT bot AND NOT test AND received_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')"
        )

    def _only(self, column: str) -> str:
        return f"AND {column} IN {{actors:Array(String)}}" if "actors" in self.params else ""


_SHARD = "cityHash64({}) % {{shards:UInt32}} = {{shard:UInt32}}"
_IS_TWIN = "(channel = 'server' AND order_id != '' AND twin_of.1 != '')"
_POINT = """Tuple(step UInt8, name String, at Int64, known Int64, prev Int64, code String, order_id String,
    value Decimal(18, 4), units UInt32, duration Nullable(Float64), endpoint String)"""
_ARRIVAL = f"CAST((step, '', at, known, before, '', '', 0, 0, NULL, ''), '{_POINT}')"
_MOMENT = f"""CAST((arrayCount(t -> t <= m.1, arrived), m.4, m.1, m.3, 0, m.5, if(m.4 = 'purchase' AND m.6 = '', m.2, m.6),
    m.7, m.8, m.9, m.11), '{_POINT}')"""
#: Family 0 is the session as such: an array's element 0 is empty, so every event belongs to it.
_BELONGS = "(empty({x}[family]) OR has({x}[family], multi_value))"
#: Stands behind every list of a step's events: the step that was not reached.
_NEVER = f"(toInt64({2**60}), toInt64({2**60}))"
_NEVER_EXCLUDED = f"(toInt64({2**60}), toInt64({2**60}), CAST([], 'Array(Array(String))'))"


def _ms(column: str) -> str:
    return f"toUnixTimestamp64Milli({column})"


def _time(ms: str) -> str:
    return f"fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')"
