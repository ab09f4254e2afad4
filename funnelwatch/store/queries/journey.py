"""Sessions reconstructed: for each one its arrivals at the funnel's steps and its noteworthy events, as `journey` rows.

The rules, which the property tests restate in plain Python:

* A session is (visitor, the client's session id); where the client sends none, a visitor's events without a pause of more than
  `session_gap_minutes`. Bots and test events are left out. A server's event joins the session it names, or the session of the
  browser's purchase with the same `order_id`; any other server event is in no funnel but its order counts.
* An entry is a first-step event with no other one in the session's preceding REENTRY_MINUTES (or window, if longer). From it
  the arrival at each next step is the session's earliest matching event not before the arrival at the step before, inside
  the window, before the first exclusion event.
* Dimensions at a point are those known by then: a session's first non-empty value, a step dimension's last.
* `known_at` is the latest receipt of the events an arrival rests on.
* Multi-valued dimensions: one funnel for each value, of the events that carry the value or carry none, counted from where the
  session first met the value.

All of it looks back no further than window + re-entry, so a minute costs the same whatever the history, and any split of a range into
chunks gives the same rows. (A session active without pause for longer than that may get its dimensions from its later part.)
"""

from collections.abc import Sequence

from funnelwatch.core.vocabulary import MULTI_DIMENSIONS
from funnelwatch.store.client import Client
from funnelwatch.store.scope import Scope
from funnelwatch.store.session_sql import SessionSql

#: Up to this many minutes, and visitors seen in them, are cheaper to roll up by reading those visitors only.
_FEW_MINUTES = 120
_FEW_ACTORS = 20_000


def insert(client: Client, scope: Scope, version: int, multi: Sequence[str] = MULTI_DIMENSIONS) -> None:
    """Write the journey rows of a scope under `version`: a session as such, and under every value of the dimensions `multi`."""
    text = SessionSql(scope, tuple(multi))
    if scope.to_minute - scope.from_minute <= _FEW_MINUTES:
        actors = client.query(text.seen(), text.params).columns[0]
        if not len(actors):
            return
        if len(actors) <= _FEW_ACTORS:
            text.only(actors)
    sql = text.insert()
    client.command(sql, {**text.params, "version": version})


def size(client: Client, scope: Scope) -> int:
    """Events to be read for a scope, about."""
    text = SessionSql(scope, ())
    return int(client.query(text.count(), text.params).scalar())


def arrivals(client: Client, scope: Scope) -> dict[int, tuple[int, int]]:
    """Step (from 1) -> (arrivals in the scope, those of them that came from an arrival in the scope), with nothing stored."""
    text = SessionSql(scope, ())
    return {step: (count, within) for step, count, within in client.query(text.arrivals(), text.params)}


def matched(client: Client, scope: Scope) -> tuple[int, ...]:
    """Events of the scope that match each step, then each exclusion, whatever came before them."""
    text = SessionSql(scope, ())
    return tuple(int(column[0]) for column in client.query(text.matched(), text.params).columns)
