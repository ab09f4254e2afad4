"""All cases at once: one ingest node and one that is over its rate, a proxy for each case, the real clients in front."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from funnelwatch.ingest.limits import RateLimit
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.store.client import Client
from tests.ingest.clients.cases import CASES, PAGE_CASES, Case
from tests.ingest.clients.installed import install, missing_for, needs_packages
from tests.ingest.clients.pages import run_pages
from tests.ingest.clients.proxy import Delivery, Proxy
from tests.ingest.clients.servers import COMMANDS, Runner
from tests.ingest.conftest import Node

FIRST_PROJECT = 20_000_000  # far from the numbers other tests count up
SECONDS = 100  # for all clients together; the longest time-out among them is 30 s
RETRY_AFTER = 3  # more than any client waits by its own schedule


class AlwaysOver(RateLimit):
    """A project that is always over its rate."""

    def take(self, project_id: int, count: int, now: float) -> float:
        """Ingest rounds up to the next whole second."""
        return RETRY_AFTER - 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    began: datetime  # the whole second before any client was started
    rows: list[dict[str, Any]]
    given_up: set[str]
    deliveries: list[Delivery]

    @property
    def counts(self) -> Counter[str]:
        """How often each event is stored."""
        return Counter(row["name"] for row in self.rows)


@pytest.fixture(scope="module")
def outcomes(store: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Outcome]]:
    """Runs every case that can run here."""
    folder = tmp_path_factory.mktemp("clients")
    cases = [case for case in CASES if not missing_for(case)]
    keys = {case: f"wk_{number}" for number, case in enumerate(cases)}
    if any(needs_packages(case) for case in cases):
        install()
    began = datetime.now(UTC).replace(microsecond=0)
    with ExitStack() as stack:
        node, busy = (Node(folder / name, store, FIRST_PROJECT) for name in ("spool", "busy"))
        for one in (node, busy):
            stack.callback(one.close)
            one.app.snapshot = Snapshot(
                keys={key: KeyInfo(project_id=FIRST_PROJECT + number, salt="salt") for number, key in enumerate(keys.values())}
            )
        busy.app._limit = AlwaysOver(1, 1)
        node.start_drain()
        proxies = {case: Proxy(node.url, busy.url, case.fault) for case in cases}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        runners = [Runner(language, keys, proxies, folder, stack) for language in COMMANDS]
        given_up = run_pages(keys, {case: proxies[case] for case in cases if case in PAGE_CASES}, folder, SECONDS)
        for runner in runners:
            given_up |= runner.finish(SECONDS)
        node.stored()  # waits for the drain
        stored = store.query("SELECT * FROM events WHERE project_id >= {first:UInt32}", {"first": FIRST_PROJECT}).dicts()
        yield {
            case: Outcome(
                began,
                [row for row in stored if row["project_id"] == FIRST_PROJECT + number],
                given_up[case],
                proxies[case].deliveries,
            )
            for number, case in enumerate(cases)
        }
