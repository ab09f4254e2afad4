"""From an outbox to what we receive: envelopes, batches, slow networks, phones offline, batches sent twice, and what gets lost.

The browser library empties its queue every few seconds, so a message arrives some seconds after it happened.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.simulate.agents import AGENT_LIST
from funnelwatch.simulate.faults import ActiveFault
from funnelwatch.simulate.messages import Identity, Outbox, Sort
from funnelwatch.simulate.shop import Channel
from funnelwatch.simulate.traffic import MINUTE_MS, Sessions

_FLUSH_MS = (5_000, 10_000)  # period of a browser's queue
_NETWORK_MS, _NETWORK_SPREAD = 140.0, 0.5
_OFFLINE_SHARE = 0.012  # of sessions
_OFFLINE_MS, _OFFLINE_MOST_MS = 150_000, 15 * MINUTE_MS  # mean of the exponential delay, and its end
_RESENT_SHARE = 0.02  # of sessions have a message sent twice: 3 messages in 1,000
_RESENT_MS = (10_000, 40_000)
_SERVER_MS = (50, 900)

_LIBRARY = {"name": "funnelwatch-browser", "version": "1.0.0"}
_SERVER_CONTEXT = {"library": {"name": "funnelwatch-python", "version": "1.0.0"}}

#: (received at in epoch ms, event time in epoch ms, message id, message): sorts in the order of arrival.
#: No two letters agree in the first three, so the messages are never compared.
Letter = tuple[int, int, str, dict[str, Any]]


class Mail:
    """The post of one chunk's sessions. Its draws are made before any fault, so that faults do not shift them."""

    def __init__(self, sessions: Sessions, identity: Identity, rng: np.random.Generator) -> None:
        n = len(sessions)
        self._sessions, self._identity = sessions, identity
        self._flush_ms = rng.integers(*_FLUSH_MS, n)
        self._network_ms = (_NETWORK_MS * np.exp(_NETWORK_SPREAD * rng.standard_normal(n))).astype(np.int64)
        offline = np.minimum(rng.exponential(_OFFLINE_MS, n), _OFFLINE_MOST_MS).astype(np.int64)
        self._offline_ms = np.where(rng.random(n) < _OFFLINE_SHARE, offline, 0)
        self._server_ms = rng.integers(*_SERVER_MS, n)
        self._resent_nth = np.where(rng.random(n) < _RESENT_SHARE, rng.integers(0, 8, n), -1)
        self._resent_ms = rng.integers(*_RESENT_MS, n)

    def deliver(self, outbox: Outbox, faults: Sequence[tuple[ActiveFault, np.random.Generator]]) -> list[Letter]:
        """Every message as received, in no order; `faults` may lose or delay some."""
        sorts = outbox.sorts
        sort = np.repeat(np.arange(len(sorts)), [len(rows) for rows in outbox.rows])
        rows, at = np.concatenate(outbox.rows), np.concatenate(outbox.at)
        server = np.array([one.server for one in sorts])[sort]
        sent, received = self._times(rows, at, server)
        kept = np.ones(len(rows), dtype=bool)
        for fault, rng in faults:
            if fault.kind.place == "loss":
                kept &= ~self._lost(fault, rng, sorts, sort, rows, at)
            else:
                wait = np.where(self._in_scope(fault, rows, at) & ~server, round(fault.spec.size * MINUTE_MS), 0)
                sent, received = sent + wait, received + wait
        index = np.flatnonzero(kept)
        again = index[self._is_resent(index, rows, at) & ~server[index]]
        pause = self._resent_ms[rows[again]]
        order = np.concatenate([index, again])
        sent = np.concatenate([sent[index], sent[again] + pause])
        received = np.concatenate([received[index], received[again] + pause])
        return self._write(outbox, sort[order], rows[order], at[order], sent, received, order)

    def _times(
        self, rows: NDArray[np.int64], at: NDArray[np.int64], server: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When each message is sent and received."""
        period, start = self._flush_ms[rows], self._sessions.start[rows]
        flushed = start + ((at - start) // period + 1) * period + self._offline_ms[rows]
        sent = np.where(server, at, flushed)
        return sent, sent + np.where(server, self._server_ms[rows], self._network_ms[rows])

    def _in_scope(self, fault: ActiveFault, rows: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._sessions.matches(fault.spec.scope)[rows] & (fault.growth(at) > 0)

    def _lost(
        self, fault: ActiveFault, rng: np.random.Generator, sorts: list[Sort], sort: NDArray[np.int64],
        rows: NDArray[np.int64], at: NDArray[np.int64],
    ) -> NDArray[np.bool_]:  # fmt: skip
        """The browser's messages of the event the fault's step leads to, for a share `size` of the sessions."""
        event = fault.step.split("->")[1]
        affected = np.array([one.event == event and not one.server for one in sorts])[sort]
        unlucky = rng.random(len(self._sessions))[rows] < fault.spec.size * fault.growth(at)
        return affected & unlucky & self._sessions.matches(fault.spec.scope)[rows]

    def _is_resent(
        self, index: NDArray[np.int64], rows: NDArray[np.int64], at: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """The nth message of each session that resends one, counted by the time of the event."""
        order = index[np.lexsort((at[index], rows[index]))]
        sorted_rows = rows[order]
        first = np.searchsorted(sorted_rows, sorted_rows)
        is_nth = np.arange(len(order)) - first == self._resent_nth[sorted_rows]
        resent = np.zeros(len(rows), dtype=bool)
        resent[order[is_nth]] = True
        return resent[index]

    def _write(
        self, outbox: Outbox, sort: NDArray[np.int64], rows: NDArray[np.int64], at: NDArray[np.int64],
        sent: NDArray[np.int64], received: NDArray[np.int64], source: NDArray[np.int64],
    ) -> list[Letter]:  # fmt: skip
        people, contexts = self._people(), self._contexts()
        times = (_iso(at), _iso(sent), _iso(received))
        signed_in = at >= self._signed_in_from(outbox)[rows]
        columns = (column.tolist() for column in (sort, rows, at, received, source, signed_in))
        letters: list[Letter] = []
        for kind, row, at_ms, received_ms, entry, named, happened, sent_at, received_at in zip(
            *columns, *times, strict=True
        ):
            one = outbox.sorts[kind]
            session, anonymous, customer = people[row]
            identifier = f"{session}-{one.slot}"
            message: dict[str, Any] = {
                "type": one.type,
                "messageId": identifier,
                "timestamp": happened,
                "sentAt": sent_at,
                "receivedAt": received_at,
                "anonymousId": anonymous,
            }
            if named:
                message["userId"] = customer
            if one.server:
                message["channel"] = "server"
                message["context"] = _SERVER_CONTEXT
            else:
                message["context"] = {**contexts[row], "page": outbox.pages[entry]}
            _add_call(message, one, outbox.properties[entry])
            letters.append((received_ms, at_ms, identifier, message))
        return letters

    def _signed_in_from(self, outbox: Outbox) -> NDArray[np.int64]:
        """Since when (epoch ms) each session's messages name the customer."""
        known = (self._identity.customer > 0) & ~self._identity.signs_in
        since = np.where(known, 0, np.iinfo(np.int64).max)
        for sort, rows, at in zip(outbox.sorts, outbox.rows, outbox.at, strict=True):
            if sort.type == "identify":
                since[rows] = at
        return since

    def _people(self) -> list[tuple[str, str, str]]:
        """Session id, anonymous id and customer id, by row."""
        columns = (self._sessions.id, self._sessions.visitor, self._identity.customer)
        return [
            (f"{session:016x}", f"v-{visitor:016x}", f"c-{customer}")
            for session, visitor, customer in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _contexts(self) -> list[dict[str, Any]]:
        """What every message of a session tells of where it comes from, by row."""
        sessions, shop = self._sessions, self._sessions.shop
        campaigns = [_campaign(channel) for channel in shop.channels]
        locations = [{"country": country, "region": region} for country, region in shop.places]
        apps = [{"name": shop.name, "version": version} for version in sessions.versions]
        experiments = list(shop.experiments.items())
        columns = (sessions.id, sessions.agent, sessions.place, sessions.version, sessions.channel, sessions.variant)
        return [
            {
                "library": _LIBRARY,
                "sessionId": f"{session:016x}",
                "userAgent": AGENT_LIST[agent].user_agent,
                "location": locations[place],
                "app": apps[version],
                "experiments": {name: names[index] for (name, names), index in zip(experiments, variant, strict=True)},
                "campaign": campaigns[channel],
                "consent": "granted",
            }
            for session, agent, place, version, channel, variant in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]


def _campaign(channel: Channel) -> dict[str, str]:
    """What the browser library made of the landing's utm parameters or referrer, and keeps for the session."""
    campaign = {"source": channel.source, "medium": channel.medium}
    return {**campaign, "name": channel.campaign} if channel.campaign else campaign


def _add_call(message: dict[str, Any], sort: Sort, properties: dict[str, Any]) -> None:
    if sort.type == "identify":
        message["traits"] = properties
        return
    message["properties"] = properties
    if sort.type == "page":
        message["name"] = properties["title"]
    else:
        message["event"] = sort.event


def _iso(times_ms: NDArray[np.int64]) -> list[str]:
    return np.datetime_as_string(times_ms.astype("datetime64[ms]"), timezone="UTC").tolist()

