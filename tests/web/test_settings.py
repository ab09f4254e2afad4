"""Settings: what an admin changes acts, is written down, and shows no secret twice."""

import pytest
from django.test import Client

from funnelwatch.projects.models import ApiToken, AuditRow, Channel, Connector, Member, Project, WriteKey
from tests.web.conftest import text_of

SLACK = {"kind": "slack", "name": "Checkout", "min_severity": "high", "channel": "#alerts", "token": "xoxb-secret"}


def send(client: Client, form: str, **data: object) -> str:
    return text_of(client.post(f"/p/loomlane/settings/{form}", data, follow=True))


def test_a_rotated_key_gets_a_second_one_beside_it(alice: Client, shop: Project) -> None:
    old = WriteKey.objects.get()
    send(alice, f"keys/{old.pk}/rotate/")
    assert WriteKey.objects.filter(revoked_at=None).count() == 2
    send(alice, f"keys/{old.pk}/revoke/")
    assert WriteKey.objects.get(revoked_at=None).pk != old.pk
    assert set(AuditRow.objects.values_list("action", flat=True)) == {"key.rotated", "key.revoked"}


def test_origins_are_checked(alice: Client, shop: Project) -> None:
    assert "Write an origin like https://shop.example.com" in send(alice, "keys/", name="x", origins="shop.example.com")
    send(alice, "keys/", name="x", origins="https://shop.example.com/, http://localhost:3000")
    assert WriteKey.objects.get(name="x").allowed_origins == ["https://shop.example.com", "http://localhost:3000"]


def test_a_token_is_shown_once(alice: Client, shop: Project) -> None:
    alice.post("/p/loomlane/settings/tokens/", {"name": "ci", "role": "responder"})
    shown = alice.get("/p/loomlane/settings/").context["made"]["text"]
    assert ApiToken.objects.get().digest == ApiToken.digest_of(shown)
    assert shown not in alice.get("/p/loomlane/settings/").content.decode()
    assert shown not in str(list(AuditRow.objects.values()))


def test_a_channels_secret_is_kept_and_never_shown(alice: Client, shop: Project) -> None:
    send(alice, "channels/", **SLACK)
    assert Channel.objects.get().config == {"channel": "#alerts", "token": "xoxb-secret"}
    body = alice.get("/p/loomlane/settings/").content.decode()
    assert "#alerts" in body
    assert "xoxb-secret" not in body
    assert "xoxb-secret" not in str(list(AuditRow.objects.values()))


def test_a_slack_channel_with_a_signing_secret_says_where_its_buttons_go(alice: Client, shop: Project) -> None:
    send(alice, "channels/", **(SLACK | {"signing_secret": "shh-secret"}))
    body = alice.get("/p/loomlane/settings/").content.decode()
    assert f"http://testserver/slack/{Channel.objects.get().pk}/actions" in body
    assert "shh-secret" not in body


def test_a_channel_without_what_its_kind_needs_is_refused(alice: Client, shop: Project) -> None:
    assert "needs token" in send(alice, "channels/", **(SLACK | {"token": ""}))
    assert not Channel.objects.exists()


def test_a_test_that_fails_says_why(alice: Client, shop: Project) -> None:
    channel = Channel.objects.create(project=shop, kind="webhook", name="Hook", config={"url": "http://127.0.0.1:9/", "secret": "whsec_YWJj"})
    assert "127.0.0.1, which is not a public address" in send(alice, f"channels/{channel.pk}/test/")


def test_the_last_admin_stays(alice: Client, shop: Project) -> None:
    me = Member.objects.get(user__username="alice")
    assert "keeps at least one admin" in send(alice, f"members/{me.pk}/remove/")
    assert "keeps at least one admin" in send(alice, "members/", username="alice", role="viewer")
    me.refresh_from_db()
    assert me.role == "admin"


def test_somebody_new_gets_a_password_that_works(alice: Client, shop: Project) -> None:
    alice.post("/p/loomlane/settings/members/", {"username": "dora@example.com", "role": "responder"})
    password = alice.get("/p/loomlane/settings/").context["made"]["text"]
    assert Client().login(username="dora@example.com", password=password)


def test_a_connectors_secret_is_shown_once_and_a_disabled_one_is_gone(alice: Client, shop: Project) -> None:
    alice.post("/p/loomlane/settings/connectors/", {"kind": "github"})
    made = Connector.objects.get()
    first = alice.get("/p/loomlane/settings/").content.decode()
    assert made.secret in first
    assert f"http://testserver/hooks/github/{made.hook_id}" in first
    assert made.secret not in alice.get("/p/loomlane/settings/").content.decode()
    assert "refused from now on" in send(alice, f"connectors/{made.pk}/disable/")
    assert Client().post(f"/hooks/github/{made.hook_id}", {}).status_code == 404


@pytest.mark.parametrize(("field", "value"), [("timezone", "Mars/Olympus"), ("currency", "euro")])
def test_a_zone_or_currency_that_does_not_exist_is_refused(alice: Client, shop: Project, field: str, value: str) -> None:
    send(alice, "project/", **({"title": "L", "timezone": "UTC", "currency": "EUR", "retention_days": 400} | {field: value}))
    shop.refresh_from_db()
    assert shop.timezone == "Asia/Kolkata"


def test_a_row_of_another_shop_cannot_be_reached_through_ones_own(alice: Client, shop: Project) -> None:
    other = Project.objects.create(organisation=shop.organisation, name="other")
    key = WriteKey.objects.create(project=other)
    assert alice.post(f"/p/loomlane/settings/keys/{key.pk}/revoke/").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_tier_of_retention_is_chosen_from_those_there_are(alice: Client, shop: Project) -> None:
    form = {"title": "L", "timezone": "UTC", "currency": "EUR"}
    assert "365 is not one of the available choices" in send(alice, "project/", **form, retention_days=365)
    send(alice, "project/", **form, retention_days=90)
    shop.refresh_from_db()
    assert shop.retention_days == 90


def test_an_admin_says_which_combinations_are_counted_and_sees_what_is_chosen(alice: Client, bob: Client, shop: Project) -> None:
    form = "/p/loomlane/settings/cohorts/"
    assert bob.post(form, {"combinations": "browser+region"}).status_code == 403
    assert "is no dimension: take two or three of device" in alice.post(form, {"combinations": "browser+colour"}, follow=True).content.decode()
    page = alice.post(form, {"combinations": "browser+region, sku+country"}, follow=True).content.decode()
    assert "Counted from the next midnight (UTC) on." in page
    assert "browser+region, sku+country</textarea>" in page
    assert "os × browser × campaign" in page
    shop.refresh_from_db()
    assert shop.combinations == ["browser+region", "sku+country"]
