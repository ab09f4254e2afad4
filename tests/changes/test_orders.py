"""Orders of a shop's webhook, from the signed request by the real address to the store and the live view."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core import clock, signatures
from funnelwatch.projects.models import Connector, HookDelivery, Project
from tests.ingest.conftest import wait_for
from tests.web.conftest import (  # noqa: F401  fixtures
    alice,
    event_store,
    quick_passwords,
    shop,
    text_of,
)

SECRET = "whsec_c2hob3Agc2VjcmV0"


class Hook:
    """A shop's webhook and a whole web process behind it: spool, drain and store."""

    def __init__(self, project: Project, kind: str) -> None:
        pipeline.ingest_app()
        self.project, self.store = project, pipeline.start().client
        row = Connector.objects.create(project=project, kind=kind, secret=SECRET)
        self.url = f"/hooks/{kind}/{row.hook_id}"

    def post(self, content: dict[str, Any], **headers: str) -> dict[str, Any]:
        body = json.dumps(content).encode()
        shops = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        now = int(clock.now().timestamp())
        signed = {
            "X-Shopify-Hmac-SHA256": shops, "X-WC-Webhook-Signature": shops, "webhook-id": "msg_1", "webhook-timestamp": str(now),
            "webhook-signature": signatures.standard_webhook(SECRET, "msg_1", now, body),
        }  # fmt: skip
        answer = Client().post(self.url, body, content_type="application/json", headers=signed | headers)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def stored(self) -> list[dict[str, Any]]:
        """The project's events once the spool is empty, oldest first."""
        wait_for(lambda: pipeline.ingest_status()["waiting_events"] == 0)
        return self.store.query("SELECT * FROM events FINAL WHERE project_id = {p:UInt32} ORDER BY ts, name", {"p": self.project.pk}).dicts()


@pytest.fixture
def hook(shop: Project) -> Iterator[Any]:  # noqa: F811
    yield lambda kind: Hook(shop, kind)
    pipeline.stop()


def shopify_order(number: int, lines: int, **more: Any) -> dict[str, Any]:
    items = [{"sku": f"SKU-{line}", "title": "A linen shirt with a long name", "price": "10.00", "quantity": 1, "note": "x" * 1_000} for line in range(lines)]
    return {
        "id": number, "created_at": datetime.now(UTC).isoformat(), "currency": "INR", "total_price": f"{10 * lines}.00", "customer": {"id": 881},
        "line_items": items,
    } | more  # fmt: skip


def test_an_order_of_four_hundred_lines_is_stored_whole_and_shown_in_the_live_view(hook: Any, alice: Client) -> None:  # noqa: F811
    shopify = hook("shopify")
    assert shopify.post(shopify_order(1, 400), **{"X-Shopify-Topic": "orders/create"}) == {"success": True, "changes": 0, "events": 1}
    (row,) = shopify.stored()
    assert (row["name"], row["order_id"], row["value"], row["channel"], len(row["item_sku"])) == ("purchase", "1", 4000, "server", 400)
    page = text_of(alice.get("/p/loomlane/live/"))
    assert "purchase accepted" in page
    assert "order_id 1" in page


def test_an_event_of_a_webhook_that_cannot_be_one_is_counted_shown_and_not_confirmed(hook: Any, shop: Project, alice: Client) -> None:  # noqa: F811
    signed = hook("signed")
    paid = {"type": "track", "event": "purchase", "userId": "881", "properties": {"order_id": "2"}}
    answer = signed.post({"events": [paid, {"type": "track", "event": "refund"}]})
    assert answer == {"success": True, "changes": 0, "events": 1, "rejected": {"missing_identity": 1}}
    assert [row["order_id"] for row in signed.stored()] == ["2"]
    wait_for(lambda: pipeline.ingest_status()["drops"].get(shop.pk) == {"missing_identity": 1})
    assert "refund rejected neither anonymousId nor userId" in text_of(alice.get("/p/loomlane/live/"))


def woo_order(modified: datetime, **more: Any) -> dict[str, Any]:
    return {
        "id": 55, "currency": "EUR", "total": "42.00", "date_created_gmt": "2026-11-02T14:25:00", "date_paid_gmt": "2026-11-02T14:26:00",
        "date_modified_gmt": modified.strftime("%Y-%m-%dT%H:%M:%S"), "customer_id": 7, "line_items": [],
    } | more  # fmt: skip


def test_a_refund_counts_once_however_late_the_order_is_updated_again(
    hook: Any, shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    file, paid = tmp_path / "now", datetime(2026, 11, 2, 15, tzinfo=UTC)
    monkeypatch.setenv(clock.CLOCK_FILE_ENV, str(file))
    file.write_text(paid.isoformat())
    woo = hook("woocommerce")
    refunds = [{"id": 1, "total": "-10.00"}]
    for days, status, done in (
        (0, "processing", refunds),
        (1, "completed", refunds),
        (5, "completed", [*refunds, {"id": 2, "total": "-5.00"}]),  # what ingest remembers for 72 hours is forgotten, deliveries are not
        (30, "cancelled", [*refunds, {"id": 2, "total": "-5.00"}]),
        (60, "cancelled", [*refunds, {"id": 2, "total": "-5.00"}]),
    ):
        now = paid + timedelta(days=days)
        file.write_text(now.isoformat())
        woo.post(woo_order(now, status=status, refunds=done))
        woo.stored()
    rows = [row for row in woo.stored() if row["name"] == "refund"]
    assert [(row["value"], row["ts"]) for row in rows] == [
        (10, paid), (5, paid + timedelta(days=5)), (27, paid + timedelta(days=30)),
    ]  # fmt: skip


def test_a_shop_that_keeps_its_events_for_a_shorter_time_remembers_refunds_for_that_time(
    hook: Any, shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    Project.objects.filter(pk=shop.pk).update(retention_days=30)
    file, paid = tmp_path / "now", datetime(2026, 11, 2, 15, tzinfo=UTC)
    monkeypatch.setenv(clock.CLOCK_FILE_ENV, str(file))
    file.write_text(paid.isoformat())
    woo = hook("woocommerce")
    answers = []
    for days in (0, 29, 31):
        now = paid + timedelta(days=days)
        file.write_text(now.isoformat())
        answers.append(woo.post(woo_order(now, status="refunded", refunds=[{"id": 1, "total": "-42.00"}]))["events"])
    assert answers == [2, 1, 2]
    assert HookDelivery.objects.count() == 3  # the bodies of the last week and the refund
