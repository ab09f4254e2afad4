"""Webhooks through the real view: signatures, replays, and what each sender's events become."""

import base64
import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.changes import connector, hooks
from funnelwatch.core import clock, signatures
from funnelwatch.projects.models import ChangeRow, Connector, HookDelivery, Organisation, Project

NOW = datetime(2026, 3, 2, 14, 25, tzinfo=UTC)
SECRET = "whsec_c2hob3Agc2VjcmV0"


@pytest.fixture
def shop(db) -> Project:
    return Project.objects.create(organisation=Organisation.objects.create(name="Loomlane"), name="shop")


def sign(kind: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    match kind:
        case "github":
            return {"X-Hub-Signature-256": f"sha256={digest.hexdigest()}"}
        case "launchdarkly":
            return {"X-LD-Signature": digest.hexdigest()}
        case "shopify":
            return {"X-Shopify-Hmac-SHA256": base64.b64encode(digest.digest()).decode()}
        case "woocommerce":
            return {"X-WC-Webhook-Signature": base64.b64encode(digest.digest()).decode()}
    seconds = int(clock.now().timestamp())
    identity = "msg_" + hashlib.sha256(body).hexdigest()[:12]
    signature = signatures.standard_webhook(secret, identity, seconds, body)
    return {"webhook-id": identity, "webhook-timestamp": str(seconds), "webhook-signature": signature}


class Sender:
    """Posts to a hook of each kind; keeps the events that were handed on."""

    def __init__(self, shop: Project) -> None:
        self.shop, self.events, self.fault = shop, [], None
        self.view = hooks.receiver(self.accept)

    def accept(self, project_id, events):
        if self.fault:
            raise self.fault
        assert project_id == self.shop.pk
        self.events += events
        return len(events), {}

    def post(self, kind, content, headers=None, secret=SECRET, at=NOW, signed=None):
        hook, _ = Connector.objects.get_or_create(project=self.shop, kind=kind, defaults={"secret": SECRET})
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        with clock.at(at):
            headers = (sign(kind, body, secret) if signed is None else signed) | (headers or {})
            request = RequestFactory().post("/", body, content_type="application/json", headers=headers)
            response = self.view(request, kind, hook.hook_id)
        response.json = json.loads(response.content)
        return response


@pytest.fixture
def sender(shop) -> Sender:
    return Sender(shop)


CHANGE = {
    "kind": "cdn",
    "title": "CDN config 4f2c",
    "started_at": "2026-03-02T14:25:00Z",
    "source": "cdn",
    "external_id": "4f2c",
}
BODIES = {
    "signed": CHANGE,
    "github": {},
    "launchdarkly": {"kind": "flag", "name": "checkout-v2", "_id": "a1", "date": 1772461500000},
    "shopify": {"id": 1},
    "woocommerce": {"id": 1},
}


@pytest.mark.parametrize("kind", connector.CONNECTORS)
def test_a_body_that_is_not_signed_with_the_secret_is_refused(sender, kind):
    body = json.dumps(BODIES[kind]).encode()
    assert sender.post(kind, body, signed={}).status_code == 401
    assert sender.post(kind, body, secret="wrong").status_code == 401
    assert sender.post(kind, body + b" ", signed=sign(kind, body)).status_code == 401
    assert not ChangeRow.objects.exists()


def test_an_unknown_a_disabled_and_another_kinds_hook_are_not_found(sender, shop):
    hook = Connector.objects.create(project=shop, kind="github")
    Connector.objects.create(project=shop, kind="magic", hook_id="m")
    request = RequestFactory().post("/", b"{}", content_type="application/json")
    assert sender.view(request, "github", "nope").status_code == 404
    assert sender.view(request, "shopify", hook.hook_id).status_code == 404
    assert sender.view(request, "magic", "m").status_code == 404
    Connector.objects.update(disabled_at=NOW)
    assert sender.view(request, "github", hook.hook_id).status_code == 404
    assert sender.view(RequestFactory().get("/"), "github", hook.hook_id).status_code == 405


def test_a_body_beyond_the_cap_is_refused_before_it_is_checked(sender):
    assert sender.post("github", b"x" * (hooks.MOST_BYTES + 1), signed={}).status_code == 413


def test_a_signed_change_enters_the_ledger_and_a_repeat_changes_nothing(sender, shop):
    assert sender.post("signed", CHANGE).json == {"success": True, "changes": 1, "events": 0}
    ChangeRow.objects.update(title="edited by hand")
    assert sender.post("signed", CHANGE).json == {"success": True, "repeated": True}
    assert ChangeRow.objects.get().title == "edited by hand"
    assert Connector.objects.get().last_seen_at == NOW


def test_a_signature_that_is_too_old_is_refused(sender):
    body = json.dumps(CHANGE).encode()
    with clock.at(NOW):
        old = sign("signed", body)
    assert sender.post("signed", body, signed=old, at=NOW + timedelta(minutes=6)).status_code == 401
    assert sender.post("signed", body, signed=old, at=NOW - timedelta(minutes=6)).status_code == 401
    assert sender.post("signed", body, signed=old, at=NOW + timedelta(minutes=4)).status_code == 200


def test_a_replayed_body_under_a_new_id_or_topic_changes_nothing(sender):
    sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "e1"})
    again = sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/cancelled", "X-Shopify-Event-Id": "e2"})
    assert again.status_code == 400, "the body does not say that it was cancelled"
    again = sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/paid", "X-Shopify-Event-Id": "e2"})
    assert again.json == {"success": True, "repeated": True}
    assert len(sender.events) == 1


def test_one_event_that_two_subscriptions_send_counts_once(sender):
    sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "e1"})
    sender.post("shopify", ORDER | {"note": "x"}, {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "e1"})
    assert len(sender.events) == 1


def test_what_was_taken_is_forgotten_after_a_week(sender):
    sender.post("signed", CHANGE)
    sender.post("signed", CHANGE | {"external_id": "x"}, at=NOW + timedelta(days=8))
    assert not HookDelivery.objects.filter(until__lt=NOW + timedelta(days=8)).exists()


def test_when_events_cannot_be_kept_the_sender_is_asked_to_come_again_and_then_believed(sender):
    sender.fault = hooks.TryLater("The spool is full.")
    answer = sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/create"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    sender.fault = None
    assert sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/create"}).json["events"] == 1


@pytest.mark.parametrize(
    "content", [b"{half", b"\xff", {"kind": "magic"}, [1], 5, {"events": 5}, {"events": [5]}, [CHANGE, {"kind": "cdn"}]]
)
def test_signed_nonsense_is_refused_whole_and_never_a_server_error(sender, content):
    answer = sender.post("signed", content)
    assert answer.status_code == 400
    assert answer.json["code"] == "unreadable"
    assert not ChangeRow.objects.exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    [
        "id",
        "kind",
        "status",
        "ref",
        "refunds",
        "repository",
        "deployment",
        "release",
        "total",
        "line_items",
        "date",
        "name",
        "head_commit",
        "role",
    ]
)
_TOPICS = st.sampled_from(
    ["orders/create", "orders/cancelled", "refunds/create", "themes/publish", "deployment_status", "release", "push"]
)


@given(st.sampled_from(sorted(connector.CONNECTORS)), st.dictionaries(_KEYS, _JSON) | _JSON, _TOPICS)
def test_no_signed_json_breaks_a_reader(kind, content, topic):
    headers = {"x-shopify-topic": topic, "x-github-event": topic, "webhook-id": "1"}
    with contextlib.suppress(*hooks.UNREADABLE):
        connector.load(kind).parse(headers, json.dumps(content).encode())


def test_events_of_the_generic_hook_are_a_servers_and_get_an_identity(sender):
    event = {"type": "track", "event": "refund", "userId": "u", "properties": {"order_id": "1"}}
    sender.post("signed", {"events": [event, event | {"messageId": "own", "channel": "browser"}]})
    assert [row["channel"] for row in sender.events] == ["server", "server"]
    assert sender.events[0]["messageId"].endswith("-0")
    assert sender.events[1]["messageId"] == "own"


# --- GitHub

REPOSITORY = {"full_name": "loomlane/shop", "default_branch": "main", "html_url": "https://github.com/loomlane/shop"}


def deployment(state="success", environment="production", **more):
    return {
        "deployment_status": {"id": 2, "state": state, "created_at": "2026-03-02T14:25:00Z", "target_url": ""},
        "deployment": {"id": 7, "ref": "v9", "environment": environment, "creator": {"login": "karan"}, **more},
        "repository": REPOSITORY,
    }


def test_a_finished_deployment_to_production_is_a_deploy(sender):
    sender.post("github", deployment(), {"X-GitHub-Event": "deployment_status", "X-GitHub-Delivery": "g1"})
    row = ChangeRow.objects.get()
    assert (row.kind, row.title, row.started_at) == ("deploy", "loomlane/shop v9 to production", NOW)
    assert (row.external_id, row.author, row.url) == (
        "loomlane/shop/deployments/7",
        "karan",
        "https://github.com/loomlane/shop",
    )


@pytest.mark.parametrize(
    ("event", "content"),
    [
        ("deployment_status", deployment("in_progress")),
        ("deployment_status", deployment(environment="staging")),
        ("release", {"action": "created", "release": {"draft": True}, "repository": REPOSITORY}),
        ("push", {"ref": "refs/tags/v9", "deleted": False, "head_commit": {}, "repository": REPOSITORY}),
        ("push", {"ref": "refs/heads/main", "deleted": True, "head_commit": None, "repository": REPOSITORY}),
        ("ping", {"zen": "Keep it logically awesome."}),
    ],
)
def test_what_does_not_reach_shoppers_is_no_change(sender, event, content):
    assert sender.post("github", content, {"X-GitHub-Event": event}).json == {
        "success": True,
        "changes": 0,
        "events": 0,
    }


def test_releases_and_pushes_to_the_default_branch_are_deploys_also_as_a_form(sender):
    release = {
        "id": 3,
        "name": "",
        "tag_name": "v9",
        "published_at": "2026-03-02T14:20:00Z",
        "html_url": "https://github.com/r",
    }
    sender.post(
        "github", {"action": "published", "release": release, "repository": REPOSITORY}, {"X-GitHub-Event": "release"}
    )
    head = {"message": "Faster checkout\n\nmore", "timestamp": "2026-03-02T19:40:00+05:30"}
    push = {
        "ref": "refs/heads/main",
        "after": "abc",
        "head_commit": head,
        "compare": "https://github.com/c",
        "repository": REPOSITORY,
    }
    sender.post("github", urlencode({"payload": json.dumps(push)}).encode(), {"X-GitHub-Event": "push"})
    assert list(ChangeRow.objects.order_by("started_at").values_list("title", flat=True)) == [
        "loomlane/shop main: Faster checkout",
        "loomlane/shop v9",
    ]


def test_a_launchdarkly_entry_is_dated_by_itself(sender):
    entry = {
        "kind": "flag", "name": "checkout-v2", "_id": "a1", "date": 1772461500000, "titleVerb": "turned on the flag",
        "member": {"firstName": "Asha", "lastName": "Menon"}, "_links": {"site": {"href": "/default/production/features/checkout-v2"}},
    }  # fmt: skip
    sender.post("launchdarkly", entry)
    row = ChangeRow.objects.get()
    assert (row.kind, row.title, row.author) == ("feature_flag", "checkout-v2: turned on the flag", "Asha Menon")
    assert row.started_at == datetime.fromtimestamp(1772461500, UTC)
    assert row.url.startswith("https://app.launchdarkly.com/default/")
    assert sender.post("launchdarkly", {"kind": "member"}).json["changes"] == 0


# --- Orders

ORDER = {
    "id": 70041, "created_at": "2026-03-02T19:55:00+05:30", "currency": "INR", "total_price": "89.01", "financial_status": "paid",
    "customer": {"id": 881, "email": "x@example.com"}, "discount_codes": [{"code": "SPRING10"}], "payment_gateway_names": ["razorpay"],
    "shipping_lines": [{"title": "Express"}], "landing_site": "/?utm_campaign=ig_sale", "referring_site": "https://instagram.com/",
    "client_details": {"user_agent": "Mozilla/5.0 (iPhone)", "browser_ip": "203.0.113.9"}, "shipping_address": {"country_code": "IN"},
    "line_items": [{"sku": "SKU-1042", "title": "Linen shirt", "price": "39.50", "quantity": 2}, {"sku": "", "variant_id": 5, "title": "B", "price": "10.01", "quantity": 1}],
}  # fmt: skip


def test_a_shopify_order_becomes_a_purchase_from_a_server(sender):
    sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": "loomlane.example"})
    (event,) = sender.events
    assert (event["event"], event["channel"], event["userId"]) == ("purchase", "server", "881")
    assert event["timestamp"] == "2026-03-02T14:25:00.000Z"
    assert event["properties"] == {
        "order_id": "70041", "currency": "INR", "value": 89.01, "coupon": "SPRING10", "shipping_method": "Express",
        "payment_provider": "razorpay",
        "items": [
            {"sku": "SKU-1042", "name": "Linen shirt", "quantity": 2, "price": 39.5},
            {"sku": "5", "name": "B", "quantity": 1, "price": 10.01},
        ],
    }  # fmt: skip
    assert event["context"]["page"]["url"] == "https://loomlane.example/?utm_campaign=ig_sale"
    assert event["context"]["library"]["name"] == "funnelwatch-shopify"
    assert "203.0.113.9" not in json.dumps(event)
    assert "x@example.com" not in json.dumps(event)


def test_create_and_paid_of_one_order_are_one_message(sender):
    sender.post("shopify", ORDER | {"financial_status": "pending"}, {"X-Shopify-Topic": "orders/create"})
    sender.post("shopify", ORDER, {"X-Shopify-Topic": "orders/paid"})
    assert len({event["messageId"] for event in sender.events}) == 1


def _transaction(amount, status="success", kind="refund"):
    return {"amount": amount, "currency": "INR", "kind": kind, "status": status}


def test_refunds_give_back_what_went_back_and_a_cancellation_the_rest(sender):
    refund = {
        "id": 9,
        "order_id": 70041,
        "created_at": "2026-03-03T10:00:00Z",
        "transactions": [_transaction("19.90"), _transaction("5", "failure")],
    }
    sender.post("shopify", refund, {"X-Shopify-Topic": "refunds/create"})
    sender.post(
        "shopify",
        ORDER | {"cancelled_at": "2026-03-03T11:00:00Z", "refunds": [refund]},
        {"X-Shopify-Topic": "orders/cancelled"},
    )
    assert [(event["event"], event["properties"]["value"]) for event in sender.events] == [
        ("refund", 19.9),
        ("refund", 69.11),
    ]
    assert {event["properties"]["order_id"] for event in sender.events} == {"70041"}


def test_a_test_order_is_marked_and_a_published_theme_is_a_deploy(sender):
    sender.post("shopify", ORDER | {"test": True}, {"X-Shopify-Topic": "orders/create"})
    assert sender.events[0]["test"] is True
    theme = {"id": 4, "name": "Dawn 12", "role": "main", "updated_at": "2026-03-02T14:25:00Z"}
    sender.post("shopify", theme, {"X-Shopify-Topic": "themes/publish"})
    assert ChangeRow.objects.get().title == "Theme Dawn 12 published"


WOO = {
    "id": 55, "status": "processing", "currency": "EUR", "total": "42.00", "date_created_gmt": "2026-03-02T14:25:00",
    "date_modified_gmt": "2026-03-02T15:00:00", "date_paid_gmt": "2026-03-02T14:26:00", "customer_id": 0, "payment_method": "stripe",
    "line_items": [{"sku": "A", "name": "Mug", "quantity": 3, "price": 14}], "coupon_lines": [{"code": "tea"}],
    "shipping_lines": [{"method_title": "DHL"}], "refunds": [], "customer_user_agent": "Mozilla/5.0", "billing": {"country": "DE", "email": "x@example.com"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "events"),
    [
        ({}, [("purchase", 42.0)]),
        ({"status": "pending"}, []),
        ({"status": "failed"}, [("payment_failed", 42.0)]),
        ({"status": "refunded", "refunds": [{"id": 1, "total": "-42.00"}]}, [("purchase", 42.0), ("refund", 42.0)]),
        ({"status": "cancelled", "refunds": [{"id": 1, "total": "-2.00"}]}, [("refund", 2.0), ("refund", 40.0)]),
        ({"status": "cancelled", "date_paid_gmt": None}, []),
    ],
    ids=["processing", "pending", "failed", "refunded", "cancelled after payment", "cancelled unpaid"],
)
def test_a_woocommerce_order_tells_by_its_status(sender, change, events):
    sender.post("woocommerce", WOO | change)
    assert [(event["event"], event["properties"]["value"]) for event in sender.events] == events


def test_a_woocommerce_purchase_carries_items_coupon_and_method_and_no_personal_data(sender):
    sender.post("woocommerce", WOO)
    sender.post("woocommerce", WOO | {"status": "completed"})
    first, again = sender.events
    assert first["messageId"] == again["messageId"] == "woocommerce-55-purchase"
    assert first["properties"]["items"] == [{"sku": "A", "name": "Mug", "quantity": 3, "price": 14.0}]
    assert (first["properties"]["coupon"], first["properties"]["payment_method"], first["userId"]) == (
        "tea",
        "stripe",
        "order-55",
    )
    assert first["timestamp"] == "2026-03-02T14:25:00.000Z"
    assert "example.com" not in json.dumps(first)


def test_the_ping_of_a_new_woocommerce_webhook_is_welcome_and_leaves_no_trace(sender):
    assert sender.post("woocommerce", b"webhook_id=12", signed={}).status_code == 200
    assert not HookDelivery.objects.exists()
