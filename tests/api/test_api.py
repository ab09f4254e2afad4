"""The management API keeps the contract: shapes, rights, problems, cursors."""

from typing import Any

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.incidents.models import Incident
from funnelwatch.pipeline.funnels import watched_funnels
from funnelwatch.projects.models import ApiToken, AuditRow, ChangeRow, Channel, Funnel, Member, Project, WriteKey
from funnelwatch.rollup import roll_up
from funnelwatch.store.queries import events
from tests.web.conftest import NOW

V1 = "/api/v1"
CHANGE = {"kind": "deploy", "title": "web 5.18.2", "started_at": "2026-11-21T08:11:00Z", "source": "ci", "external_id": "9d03f7b", "scope": {"browser": ["Safari"]}}
LISTS = ("projects", "keys", "tokens", "members", "funnels", "changes", "connectors", "channels", "incidents", "deliveries", "playbooks", "feedback", "events", "audit")


def post(client: Client, path: str, data: Any) -> Any:
    return client.post(f"{V1}/{path}", data, content_type="application/json")


def patch(client: Client, path: str, data: Any) -> Any:
    return client.patch(f"{V1}/{path}", data, content_type="application/json")


def test_an_incident_has_the_contracts_keys_and_numbers(as_role: Any, incident: Incident) -> None:
    body = as_role("viewer").get(f"{V1}/incidents/{incident.pk}/").json()
    assert set(body) >= {
        "id", "project", "status", "severity", "title", "funnel", "step", "metric", "cohort", "started_at", "started_at_interval", "detected_at",
        "resolved_at", "expected", "observed", "interval", "effect", "probability", "kind", "impact", "causes", "rejected_causes", "detectors", "timeline",
    }  # fmt: skip
    assert body["project"] == "loomlane"
    assert body["started_at"] == "2026-11-21T09:02:00Z"
    assert body["started_at_interval"] == ["2026-11-21T09:00:00Z", "2026-11-21T09:04:00Z"]
    assert body["resolved_at"] is None
    assert body["interval"] == [0.492, 0.526]
    assert body["impact"] == {
        "currency": "INR", "lost_orders": 53.2, "lost_revenue": 68_000.0, "interval": [52_000.0, 81_000.0], "per_hour": 341_000.0, "recovered_revenue": None,
    }  # fmt: skip
    assert [(cause["rank"], cause["kind"], cause["probability"]) for cause in body["causes"]] == [(1, "cdn", 0.86), (2, "unknown", 0.04)]
    assert body["causes"][0]["evidence"][0] == {"kind": "time", "text": "Began 7 min before the drop", "weight": 1.4, "data": {}}
    assert body["rejected_causes"] == [{"title": "web 5.18.2", "reason": "51 minutes too early"}]
    assert body["timeline"] == [{"at": "2026-11-21T09:06:00Z", "kind": "detected", "text": "1 of 2 detectors, 99.8 %", "actor": "FunnelWatch", "data": {}}]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_has_next_previous_and_results(as_role: Any, incident: Incident, name: str) -> None:
    response = as_role("admin").get(f"{V1}/{name}/")
    assert response.status_code == 200
    assert set(response.json()) == {"next", "previous", "results"}


def test_a_list_is_walked_by_cursor_without_gap_or_repeat(as_role: Any, shop: Project) -> None:
    client = as_role("viewer")
    for number in range(5):
        ChangeRow.objects.create(project=shop, kind="deploy", title=str(number), started_at="2026-11-21T08:00Z", source="ci", external_id=str(number))
    seen, address = [], f"{V1}/changes/?limit=2"
    while address:
        page = client.get(address).json()
        seen += [row["title"] for row in page["results"]]
        address = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]


def test_a_change_is_new_once_and_updated_afterwards(as_role: Any, shop: Project) -> None:
    client = as_role("responder")
    first = post(client, "changes/", CHANGE)
    again = post(client, "changes/", CHANGE | {"title": "web 5.18.2 (hotfix)"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert ChangeRow.objects.get().title == "web 5.18.2 (hotfix)"
    assert again.json()["started_at"] == "2026-11-21T08:11:00Z"


def test_a_bad_change_is_a_problem_that_names_every_field(as_role: Any, shop: Project) -> None:
    response = post(as_role("admin"), "changes/", CHANGE | {"kind": "magic", "started_at": "yesterday"})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["title"], body["status"]) == ("Bad Request", 400)
    assert set(body["errors"]) == {"kind", "started_at"}


@pytest.mark.parametrize(("header", "status"), [(None, 401), ("Bearer nonsense", 401), ("Basic x", 401)])
def test_without_a_known_token_there_is_nothing(shop: Project, header: str | None, status: int) -> None:
    response = Client(headers={"Authorization": header} if header else {}).get(f"{V1}/incidents/")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_token_is_refused(as_role: Any, shop: Project) -> None:
    client = as_role("admin")
    token = ApiToken.objects.get()
    assert client.delete(f"{V1}/tokens/{token.pk}/").status_code == 204
    assert client.get(f"{V1}/incidents/").status_code == 401


def test_a_token_sees_only_its_project(as_role: Any, incident: Incident, shop: Project) -> None:
    other = Project.objects.create(organisation=shop.organisation, name="other")
    WriteKey.objects.create(project=other)
    client = as_role("admin", other)
    assert client.get(f"{V1}/incidents/").json()["results"] == []
    assert client.get(f"{V1}/incidents/{incident.pk}/").status_code == 404
    assert patch(client, f"incidents/{incident.pk}/", {"status": "resolved"}).status_code == 404
    assert [row["name"] for row in client.get(f"{V1}/projects/").json()["results"]] == ["other"]
    assert post(client, "feedback/", {"incident": incident.pk, "verdict": "real"}).status_code == 400
    assert client.get(f"{V1}/incidents/?project=loomlane").json()["results"] == []


@pytest.mark.parametrize(
    ("path", "data"),
    [("changes/", CHANGE), ("keys/", {"name": "x"}), ("tokens/", {"name": "x"}), ("funnels/", {"steps": "a>b"}), ("connectors/", {"kind": "github"})],
)  # fmt: skip
def test_a_viewer_token_writes_nothing(as_role: Any, shop: Project, path: str, data: Any) -> None:
    response = post(as_role("viewer"), path, data)
    assert response.status_code == 403
    assert "needs the role" in response.json()["detail"]


def test_a_responder_acts_on_incidents_and_leaves_set_up_alone(as_role: Any, incident: Incident) -> None:
    client = as_role("responder")
    body = patch(client, f"incidents/{incident.pk}/", {"status": "acknowledged", "note": "on it"}).json()
    assert body["status"] == "acknowledged"
    assert body["timeline"][-1]["text"] == "Acknowledged: on it"
    assert body["timeline"][-1]["actor"] == "token responder program"
    assert post(client, "keys/", {"name": "x"}).status_code == 403
    assert AuditRow.objects.filter(action="incident.acknowledged").exists()


def test_the_second_to_acknowledge_gets_a_conflict_that_says_who_was_first(as_role: Any, incident: Incident) -> None:
    patch(as_role("responder"), f"incidents/{incident.pk}/", {"status": "acknowledged"})
    response = patch(as_role("admin"), f"incidents/{incident.pk}/", {"status": "acknowledged"})
    assert response.status_code == 409
    assert response.json()["detail"].startswith("token responder program was first")


def test_a_resolved_incident_cannot_be_acknowledged(as_role: Any, incident: Incident) -> None:
    client = as_role("responder")
    patch(client, f"incidents/{incident.pk}/", {"status": "resolved"})
    assert patch(client, f"incidents/{incident.pk}/", {"status": "acknowledged"}).status_code == 409
    assert client.get(f"{V1}/incidents/{incident.pk}/").json()["resolved_at"] == "2026-11-21T09:14:00Z"


def test_feedback_withdraws_a_false_alarm(as_role: Any, incident: Incident) -> None:
    response = post(as_role("responder"), "feedback/", {"incident": incident.pk, "verdict": "false_alarm", "note": "test traffic"})
    assert response.status_code == 201
    incident.refresh_from_db()
    assert incident.status == "false_alarm"


def test_a_member_uses_the_api_with_the_session(alice: Client, bob: Client, charlie: Client, incident: Incident) -> None:
    assert alice.get(f"{V1}/incidents/{incident.pk}/").status_code == 200
    assert charlie.get(f"{V1}/incidents/{incident.pk}/").status_code == 404
    assert patch(bob, f"incidents/{incident.pk}/", {"status": "resolved"}).status_code == 403
    alice.handler.enforce_csrf_checks = True
    assert patch(alice, f"incidents/{incident.pk}/", {"status": "resolved"}).status_code == 403


def test_a_new_token_is_told_once(as_role: Any, shop: Project) -> None:
    client = as_role("admin")
    made = post(client, "tokens/", {"name": "ci", "role": "responder"}).json()
    assert ApiToken.objects.get(name="ci").digest == ApiToken.digest_of(made["token"])
    assert made["token"] not in client.get(f"{V1}/tokens/").content.decode()


def test_a_channels_config_goes_in_and_never_comes_out(as_role: Any, shop: Project) -> None:
    client = as_role("admin")
    made = post(client, "channels/", {"kind": "slack", "name": "Checkout", "config": {"channel": "#a", "token": "xoxb-secret"}})
    assert made.status_code == 201
    assert "xoxb-secret" not in made.content.decode() + client.get(f"{V1}/channels/").content.decode()
    assert Channel.objects.get().config["token"] == "xoxb-secret"
    assert post(client, "channels/", {"kind": "slack", "name": "x", "config": {}}).json()["errors"] == {"config": ["a slack channel needs token, channel"]}


def test_a_connectors_secret_is_told_once(as_role: Any, shop: Project) -> None:
    client = as_role("admin")
    made = post(client, "connectors/", {"kind": "github"}).json()
    assert made["path"] == f"/hooks/github/{made['hook_id']}"
    assert made["secret"] not in client.get(f"{V1}/connectors/").content.decode()


def test_a_posted_funnel_is_the_next_version(as_role: Any, shop: Project) -> None:
    made = post(as_role("admin"), "funnels/", {"name": "storefront", "steps": "view_item>purchase"}).json()
    assert (made["version"], [step["name"] for step in made["steps"]]) == (2, ["view_item", "purchase"])
    assert Funnel.objects.get(active=True).pk == made["id"]
    refused = post(as_role("admin"), "funnels/", {"name": "storefront", "steps": [{"name": "a", "events": ["a"]}]})
    assert refused.status_code == 400


def test_a_shops_retention_is_one_of_the_tiers(as_role: Any, shop: Project) -> None:
    client = as_role("admin")
    assert patch(client, f"projects/{shop.pk}/", {"retention_days": 365}).status_code == 400
    assert patch(client, f"projects/{shop.pk}/", {"retention_days": 90}).json()["retention_days"] == 90


def test_a_previewed_funnel_is_counted_and_not_saved(as_role: Any, shop: Project) -> None:
    funnel = {"steps": [{"name": "look", "events": ["view_item"]}, {"name": "buy", "events": ["purchase"], "filters": [{"property": "currency", "values": ["INR"]}]}]}
    empty = post(as_role("admin"), "funnels/preview", funnel).json()
    assert empty == {"from": None, "to": None, "steps": [], "exclusions": []}
    start = int(NOW.timestamp() * 1000) - 3_600_000
    made = [Event(project_id=shop.pk, message_id=f"{visitor}-{name}", name=name, ts=start + at, received_at=start + at, visitor_id=visitor, currency="INR")
            for visitor, names in (("a", ("view_item", "purchase")), ("b", ("view_item",))) for at, name in enumerate(names)]  # fmt: skip
    events.insert(pipeline.runtime().client, made, f"preview-{shop.pk}")
    found = post(as_role("admin"), "funnels/preview/", funnel).json()
    assert (found["from"], found["to"]) == ("2026-11-20T08:15:00Z", "2026-11-21T08:15:00Z")
    assert found["steps"][0] == {"step": "look", "entered": 2, "converted": 1, "rate": 0.5, "interval": found["steps"][0]["interval"], "complete": None, "complete_entered": None, "matched": 2}
    assert 0.09 < found["steps"][0]["interval"][0] < 0.5 < found["steps"][0]["interval"][1] < 0.91
    assert Funnel.objects.get().version == 1
    refused = post(as_role("admin"), "funnels/preview/", {"steps": [{"name": "a", "events": []}]}).json()
    assert refused["errors"] == {"steps": ["Step 1 (a): name at least one event, as the live view shows it."]}
    assert post(as_role("viewer"), "funnels/preview/", funnel).status_code == 403


def test_latency_is_told_by_step_and_by_request(as_role: Any, shop: Project) -> None:
    start = int(NOW.timestamp() * 1000) - 3_600_000
    made = [Event(project_id=shop.pk, message_id=f"{visitor}-{name}", name=name, ts=start + at, received_at=start + at, visitor_id=visitor, duration_ms=waited,
                  properties='{"url": "https://shop.example/pay/77"}')
            for visitor in "ab" for at, (name, waited) in enumerate((("view_item", None), ("add_to_cart", 300.0), ("http_error", 2_000.0)))]  # fmt: skip
    events.insert(pipeline.runtime().client, made, f"latency-{shop.pk}")
    (watched,) = watched_funnels(pipeline.runtime().client, shop, start - 1, start + 10_000)
    roll_up(pipeline.runtime().client, watched.collected, "", start // 60_000, start // 60_000 + 1)
    found = as_role("viewer").get(f"{V1}/funnels/{Funnel.objects.get().pk}/latency").json()
    assert [(row["step"], row["event"], round(row["p50_ms"], -2)) for row in found["steps"]] == [("add_to_cart", "add_to_cart", 300), ("add_to_cart", "http_error", 2000)]
    assert [(row["endpoint"], row["step"], row["events"], round(row["p95_ms"], -2)) for row in found["endpoints"]] == [("/pay/*", "add_to_cart", 2, 2000)]


def test_the_last_admin_cannot_be_removed(as_role: Any, alice: Client, shop: Project) -> None:
    member = Member.objects.get(user__username="alice")
    assert as_role("admin").delete(f"{V1}/members/{member.pk}/").status_code == 400
    assert patch(as_role("admin"), f"members/{member.pk}/", {"role": "viewer"}).status_code == 400


def test_reports_and_series_ask_for_what_they_need(as_role: Any, shop: Project) -> None:
    client = as_role("viewer")
    funnel = Funnel.objects.get()
    assert client.get(f"{V1}/funnels/{funnel.pk}/report", {"from": "yesterday"}).json()["errors"] == {"from": ["An ISO 8601 time with its zone, like 2026-11-21T14:25:00Z."]}
    assert "by" in client.get(f"{V1}/funnels/{funnel.pk}/report?by=shoe_size").json()["errors"]
    assert "funnel" in client.get(f"{V1}/funnels/{funnel.pk}/report?by=device").json()["errors"]  # nothing was collected yet


def test_unknown_addresses_are_problems_too(db: None) -> None:
    response = Client().get(f"{V1}/nothing/")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_schema_names_every_resource(db: None) -> None:
    text = Client().get("/api/schema/").content.decode()
    for name in (*LISTS, "series", "health", "coverage"):
        assert f"/api/v1/{name}" in text
