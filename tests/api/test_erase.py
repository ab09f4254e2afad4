"""Erasing by API and by command: from the store and from the spool's files, with a receipt; a dry run changes nothing."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.ingest import intake, privacy
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.draft import encode_lines
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.spool import Entry, Spool
from funnelwatch.ingest.status import read_status
from funnelwatch.pipeline.funnels import watched_funnels
from funnelwatch.pipeline.process import key_info
from funnelwatch.projects.models import AuditRow, Project
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import funnels
from funnelwatch.store.queries.span import Span
from funnelwatch.web.errors import Error
from tests.web.conftest import NOW

MINUTE = int(NOW.timestamp()) // 60 - 60


@pytest.fixture
def spool() -> Iterator[Spool]:
    """A web process's spool, whose writer lives on while we erase."""
    made = Spool(django_settings.DATA_DIR / "spool", 10**9)
    yield made
    made.close()


def send(spool: Spool, shop: Project, visitor: str, minute: int, *names: str) -> None:
    """A visit as ingest spools it; the shop knows `visitor`, the store only a pseudonym."""
    arrival = Arrival(key=key_info(shop), now=(MINUTE + minute) * 60_000, received_at=(MINUTE + minute) * 60_000)
    drafts = [
        intake.read_one(json.dumps({"type": "track", "event": name, "anonymousId": visitor, "messageId": f"{shop.pk}-{visitor}-{minute}-{name}"}).encode(), arrival)
        for name in names
    ]  # fmt: skip
    spool.put(Entry(events=encode_lines(drafts), count=len(drafts)))


def drained() -> None:
    """What is spooled is in the store, and lies on in the spool's file."""
    directory = django_settings.DATA_DIR / "spool"
    drain = Drain(directory, pipeline.runtime().client)
    drain.start()
    while read_status(directory).waiting_events:
        time.sleep(0.02)
    drain.stop()


def lies_in_files(shop: Project, visitor: str) -> bool:
    """Whether the pseudonym can be read in any file of the spool."""
    name = privacy.pseudonym(shop.salt, visitor).encode()
    return any(name in path.read_bytes() for path in Path(django_settings.DATA_DIR / "spool").iterdir())


@pytest.fixture
def visits(shop: Project, spool: Spool) -> Spool:
    """Three visitors look at minutes 0, 10 and 20, two of them buy; Anna's visit is the first."""
    for number, visitor in enumerate(("anna", "ben", "cleo")):
        send(spool, shop, visitor, 10 * number, "view_item", *(["purchase"] if visitor != "cleo" else []))
    return spool


def post(client: Client, shop: Project, **data: Any) -> Any:
    return client.post(f"/api/v1/projects/{shop.pk}/erase/", data, content_type="application/json")


def entered(shop: Project) -> list[int]:
    """Arrivals at each step, by the roll-ups."""
    client = pipeline.runtime().client
    (watched,) = watched_funnels(client, shop, MINUTE * 60_000 - 10**9, MINUTE * 60_000 + 10**8)
    span = Span(watched.collected, MINUTE, MINUTE + 60, MINUTE + 600)
    return [step.entered for step in funnels.counts(client, span)]


def roll(shop: Project) -> None:
    client = pipeline.runtime().client
    (watched,) = watched_funnels(client, shop, MINUTE * 60_000 - 10**9, MINUTE * 60_000 + 10**8)
    roll_up(client, watched.collected, "", MINUTE, MINUTE + 60)


def test_a_person_is_erased_from_the_store_and_from_a_spool_still_in_use(as_role: Any, shop: Project, visits: Spool) -> None:
    admin = as_role("admin")
    drained()
    roll(shop)
    assert entered(shop) == [3, 2]
    assert lies_in_files(shop, "anna")
    planned = post(admin, shop, person="anna", dry_run=True).json()
    assert (planned["rows"]["events"], planned["spool"], planned["receipt"], planned["left"]) == (2, 2, None, None)
    assert entered(shop) == [3, 2]
    receipt = post(admin, shop, person="anna").json()
    assert (receipt["rows"], receipt["spool"], receipt["minutes"], receipt["left"]) == (planned["rows"], 2, 1, 0)
    assert entered(shop) == [2, 1]
    assert not lies_in_files(shop, "anna")
    send(visits, shop, "dora", 30, "view_item")  # the writer goes on in the same file
    assert post(admin, shop, person="anna").json()["rows"]["events"] == 0
    roll(shop)
    assert entered(shop) == [3, 1]


def test_the_receipt_is_in_the_audit_log_and_does_not_say_who(as_role: Any, shop: Project, visits: Spool) -> None:
    receipt = post(as_role("admin"), shop, person="anna").json()
    row = AuditRow.objects.get(action="data.erased")
    assert (row.pk, row.actor, row.data["rows"]) == (receipt["receipt"], "token admin program", receipt["rows"])
    assert receipt["rows"]["events"] == 2
    assert receipt["person"] == privacy.pseudonym(shop.salt, "anna")
    assert "anna" not in json.dumps(receipt) + str(row.data)


def test_a_command_erases_a_time_range_that_was_not_drained_yet(shop: Project, visits: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_status(django_settings.DATA_DIR / "spool").waiting_events >= 5
    times = {"from": "2026-11-21T08:14:00Z", "to": "2026-11-21T08:25:00Z"}
    call_command("erase", project="loomlane", json=True, **times)
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["rows"]["events"], receipt["spool"], receipt["left"]) == (4, 4, 0)
    assert (receipt["from"], receipt["to"]) == (times["from"], times["to"])
    assert not lies_in_files(shop, "anna")
    left = pipeline.runtime().client.query("SELECT uniqExact(visitor_id) FROM events WHERE project_id = {p:UInt32}", {"p": shop.pk})
    assert left.scalar() == 1


@pytest.mark.parametrize("data", [{}, {"person": "a", "from": "2026-11-21T08:00:00Z"}, {"from": "2026-11-21T08:00:00Z"}, {"from": "2026-11-21T09:00:00Z", "to": "2026-11-21T08:00:00Z"}])
def test_what_is_to_go_must_be_said(as_role: Any, shop: Project, data: dict[str, str]) -> None:
    response = post(as_role("admin"), shop, **data)
    assert response.status_code == 400
    assert "Say what to erase" in str(response.json())


def test_only_admins_erase(as_role: Any, shop: Project, bob: Client) -> None:
    assert post(as_role("responder"), shop, person="anna", dry_run=True).status_code == 403
    with pytest.raises(Error, match="--person ID, or --from T and --to T"):
        call_command("erase", project="loomlane")
