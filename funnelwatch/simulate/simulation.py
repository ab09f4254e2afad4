"""A scenario played: its messages in the order of their arrival, its ledger of changes, and what is true about it."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from funnelwatch.core.clock import from_ms, to_ms
from funnelwatch.simulate.faults import ActiveFault
from funnelwatch.simulate.journey import Journey
from funnelwatch.simulate.mail import Letter, Mail
from funnelwatch.simulate.messages import Identity, Stationery, Story
from funnelwatch.simulate.scenarios import SCENARIOS, Scenario, to_iso
from funnelwatch.simulate.traffic import CHUNK_MS, MINUTE_MS, Release, Sessions, Traffic

#: Nothing of a session is received later than this after its start (six slowed steps, three payments, offline, late).
LONGEST_SESSION_MS = 5 * 60 * MINUTE_MS
DEFAULT_SEED = 1
_FAULT_STREAM = 3  # apart from the streams of Traffic


@dataclass(frozen=True)
class _Stream:
    """A traffic, limited to the time of the fault that brings it (None: the shop's own visitors)."""

    traffic: Traffic
    stationery: Stationery
    flood: ActiveFault | None = None

    def chunk(self, index: int) -> tuple[Sessions, np.random.Generator]:
        sessions, rng = self.traffic.chunk(index)
        if self.flood:
            sessions = sessions.keep(rng.random(len(sessions)) < self.flood.growth(sessions.start))
        return sessions, rng


class Simulation:
    """One run of a scenario: `days` of history from `start` (aware), then the scenario's hours with its faults.

    `scenario` is a name in SCENARIOS or a Scenario of your own. The same arguments give the same messages, byte for byte,
    whatever stretch is asked for. Raises ValueError for an unknown scenario, an impossible fault, a `start` without time zone
    or numbers that are not positive.
    """

    def __init__(
        self,
        scenario: str | Scenario,
        seed: int = DEFAULT_SEED,
        days: float | None = None,
        sessions_per_day: float | None = None,
        start: datetime | None = None,
    ) -> None:
        spec = _named(scenario) if isinstance(scenario, str) else scenario
        self.scenario = replace(
            spec,
            days=spec.days if days is None else days,
            sessions_per_day=spec.sessions_per_day if sessions_per_day is None else sessions_per_day,
            start=start or spec.start,
        )
        _check(self.scenario, seed)
        self.start = self.scenario.start
        self.history_until = self.start + timedelta(days=self.scenario.days)
        self.until = self.history_until + timedelta(hours=self.scenario.hours)
        self.faults = [ActiveFault.after(to_ms(self.history_until), fault) for fault in self.scenario.faults]
        self._seed = seed
        self._start_ms = to_ms(self.start)
        self._streams = self._make_streams()

    def messages(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[dict[str, Any]]:
        """Segment messages received in [since, until), in that order. Default: the whole scenario."""
        return (message for _, message in self.arrivals(since or self.start, until or self.until))

    def arrivals(self, since: datetime, until: datetime | None = None) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """(time of receipt, message) from `since` on, in that order; without end when `until` is None."""
        return ((from_ms(letter[0]), letter[3]) for block in self.blocks(since, until) for letter in block)

    def blocks(self, since: datetime, until: datetime | None = None) -> Iterator[list[Letter]]:
        """Letters received in [since, until), in order, a list for each quarter of an hour; without end when `until` is None."""
        since_ms = to_ms(since)
        until_ms = None if until is None else to_ms(until)
        waiting: list[Letter] = []
        index = max(self._start_ms, since_ms - LONGEST_SESSION_MS) // CHUNK_MS
        while until_ms is None or index * CHUNK_MS < until_ms:
            for number, stream in enumerate(self._streams):
                waiting += self._chunk(number, stream, index)
            waiting.sort()
            index += 1
            complete_ms = index * CHUNK_MS if until_ms is None else min(index * CHUNK_MS, until_ms)
            first, last = (bisect_left(waiting, (ms,)) for ms in (since_ms, complete_ms))
            if last > first:
                yield waiting[first:last]
            del waiting[:last]

    def changes(self) -> list[dict[str, Any]]:
        """The ledger: one JSON object a change, by start."""
        entries = sorted(self.scenario.changes, key=lambda entry: entry.minute)
        return [entry.to_json(self.history_until) for entry in entries]

    def truth(self) -> dict[str, Any]:
        """What a scorer has to know: span, incidents, and what looks like one and is none."""
        return {
            "project": self.scenario.project,
            "timezone": self.scenario.shop.timezone,
            "currency": self.scenario.shop.currency,
            "from": to_iso(self.start),
            "until": to_iso(self.until),
            "history_until": to_iso(self.history_until),
            "incidents": [_incident(fault) for fault in self.faults if fault.kind.verdict],
            "not_incidents": [_look_alike(fault) for fault in self.faults if not fault.kind.verdict],
        }

    def _make_streams(self) -> list[_Stream]:
        shop, per_day, seed = self.scenario.shop, self.scenario.sessions_per_day, self._seed
        releases = tuple(
            Release(to_ms(entry.started_at(self.history_until)), entry.version)
            for entry in sorted(self.scenario.changes, key=lambda entry: entry.minute)
            if entry.version
        )
        streams = [_Stream(Traffic(shop, per_day, seed, releases=releases), Stationery(shop))]
        for number, fault in enumerate(self.faults, start=1):
            if fault.spec.channel:
                visited = replace(shop, channels=(fault.spec.channel,))
                traffic = Traffic(visited, per_day * fault.spec.size, seed, number, releases)
                streams.append(_Stream(traffic, Stationery(visited), fault))
        return streams

    def _chunk(self, stream_number: int, stream: _Stream, index: int) -> list[Letter]:
        sessions, rng = stream.chunk(index)
        sessions = sessions.keep(sessions.start >= self._start_ms)
        if not len(sessions):
            return []
        journey = Journey(sessions, rng, stream.traffic.rate_noise)
        identity = Identity(sessions, rng)
        mail = Mail(sessions, identity, rng)
        on_the_way = []
        for number, fault in enumerate(self.faults):
            if not _near(fault, index):
                continue
            luck = np.random.default_rng([self._seed, _FAULT_STREAM, number, stream_number, index])
            if fault.kind.change_journey:
                fault.kind.change_journey(journey, fault, luck)
            elif fault.kind.place != "flood":
                on_the_way.append((fault, luck))
        return mail.deliver(Story(stream.stationery, journey, identity).tell(), on_the_way)


def _named(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise ValueError(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def _near(fault: ActiveFault, index: int) -> bool:
    """Whether sessions that start in chunk `index` may meet the fault."""
    begin_ms = index * CHUNK_MS
    return fault.start_ms < begin_ms + CHUNK_MS + LONGEST_SESSION_MS and fault.end_ms > begin_ms


def _check(scenario: Scenario, seed: int) -> None:
    if scenario.start.tzinfo is None:
        raise ValueError("start needs a time zone")
    if scenario.days <= 0 or scenario.sessions_per_day <= 0:
        raise ValueError("days and sessions per day must be positive")
    if seed < 0:
        raise ValueError("seed must not be negative")


def _incident(fault: ActiveFault) -> dict[str, Any]:
    return {
        **_span(fault),
        "step": fault.step,
        "cohort": dict(fault.spec.scope),
        "effect": round(fault.effect, 4),
        "cause": fault.spec.cause,
        "kind": fault.kind.verdict,
    }


def _look_alike(fault: ActiveFault) -> dict[str, Any]:
    return {**_span(fault), "what": fault.kind.what}


def _span(fault: ActiveFault) -> dict[str, str]:
    return {"start": to_iso(from_ms(fault.start_ms)), "end": to_iso(from_ms(fault.end_ms))}
