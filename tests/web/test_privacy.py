"""What an admin decides about privacy, from the form on the page to the event that is or is not stored."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.projects.models import AuditRow, Project
from tests.ingest.conftest import wait_for

FORM = "/p/loomlane/settings/privacy/"


@pytest.fixture
def rows(shop: Project) -> Iterator[Callable[..., dict[str, Any]]]:
    """Sends one message per name from an address, with headers; the stored rows by that name."""
    app = pipeline.ingest_app()
    client = pipeline.start().client

    async def send(messages: list[dict[str, Any]], address: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            return await http.post("/v1/batch", json={"batch": messages}, auth=("wk_known", ""), headers=headers)

    def _rows(*messages: dict[str, Any], address: str = "198.51.100.1", **headers: str) -> dict[str, Any]:
        pipeline.refresh_snapshot()
        made = [{"type": "track", "anonymousId": "v", "messageId": message["event"]} | message for message in messages]
        assert asyncio.run(send(made, address, headers)).status_code == 200
        wait_for(lambda: pipeline.ingest_status()["waiting_events"] == 0)
        found = client.query("SELECT name, test, properties FROM events FINAL WHERE project_id = {p:UInt32}", {"p": shop.pk}).dicts()
        return {row["name"]: row for row in found}

    yield _rows
    pipeline.stop()


def test_visitors_who_refused_are_dropped_once_the_shop_requires_consent(alice: Client, shop: Project, rows: Callable[..., Any]) -> None:
    refused = {"context": {"consent": {"categoryPreferences": {"Analytics": False}}}}
    assert set(rows({"event": "before", **refused})) == {"before"}
    assert "within 2 seconds" in alice.post(FORM, {"require_consent": "on"}, follow=True).content.decode()
    assert set(rows({"event": "after", **refused}, {"event": "unasked"})) == {"before", "unasked"}


def test_global_privacy_control_is_honoured_until_the_shop_says_otherwise(alice: Client, shop: Project, rows: Callable[..., Any]) -> None:
    assert set(rows({"event": "asked"}, **{"Sec-GPC": "1"})) == set()
    alice.post(FORM, {"honour_dnt": "on"})
    assert set(rows({"event": "kept"}, **{"Sec-GPC": "1"})) == {"kept"}
    assert set(rows({"event": "dnt"}, DNT="1")) == {"kept"}


def test_the_shops_own_people_are_stored_and_not_counted_and_a_listed_property_is_not_stored(
    alice: Client, shop: Project, rows: Callable[..., Any]
) -> None:
    alice.post(FORM, {"excluded_addresses": "203.0.113.0/24\r\n2001:db8::7", "property_deny_list": "Nickname, vip"})
    properties = {"nickname": "Bo", "vip": True, "colour": "red"}
    assert rows({"event": "office", "properties": properties}, address="203.0.113.9")["office"] == {
        "name": "office", "test": True, "properties": '{"colour":"red"}',
    }  # fmt: skip
    assert not rows({"event": "visitor"})["visitor"]["test"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("excluded_addresses", "203.0.113.0/24, the office", "&#x27;the office&#x27; is no address; write it like 203.0.113.7"),
        ("excluded_addresses", ",".join(f"10.0.{n // 256}.{n % 256}" for n in range(201)), "200 entries at most"),
        ("property_deny_list", "x" * 101, "1 to 100 characters"),
    ],
)
def test_what_cannot_be_is_refused_on_the_page(alice: Client, shop: Project, field: str, value: str, says: str) -> None:
    assert says in alice.post(FORM, {field: value}, follow=True).content.decode()
    shop.refresh_from_db()
    assert (shop.excluded_addresses, shop.property_deny_list, shop.honour_gpc) == ([], [], True)


def test_only_an_admin_decides_and_it_is_written_down(alice: Client, bob: Client, shop: Project) -> None:
    assert bob.post(FORM, {"require_consent": "on"}).status_code == 403
    alice.post(FORM, {"require_consent": "on", "excluded_addresses": "203.0.113.7"})
    audit = AuditRow.objects.get(action="privacy.changed")
    assert (audit.actor, audit.data["require_consent"], audit.data["excluded_addresses"]) == ("alice", True, ["203.0.113.7"])
    page = alice.get("/p/loomlane/settings/").content.decode()
    assert 'name="require_consent" checked' in page
    assert 'name="honour_gpc">' in page
