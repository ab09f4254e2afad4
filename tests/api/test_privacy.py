"""The privacy settings over the API: the same ones as on the page, checked the same way."""

from typing import Any

import pytest

from funnelwatch.projects.models import AuditRow, Project


def test_a_program_of_an_admin_sets_them(as_role: Any, shop: Project) -> None:
    wanted = {"require_consent": True, "excluded_addresses": ["203.0.113.0/24", "2001:db8::7"], "property_deny_list": ["nickname"], "combinations": ["region+browser"]}
    answer = as_role("admin").patch(f"/api/v1/projects/{shop.pk}/", wanted, content_type="application/json")
    assert answer.status_code == 200
    assert wanted.items() <= answer.json().items()
    assert AuditRow.objects.get().data["fields"] == ["combinations", "excluded_addresses", "property_deny_list", "require_consent"]
    assert as_role("responder").patch(f"/api/v1/projects/{shop.pk}/", wanted, content_type="application/json").status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("excluded_addresses", ["the office"]),
        ("excluded_addresses", "203.0.113.7"),
        ("excluded_addresses", [7]),
        ("excluded_addresses", ["10.0.0.1"] * 201),
        ("property_deny_list", {"a": 1}),
        ("property_deny_list", ["x" * 101]),
        ("property_deny_list", [""]),
        ("require_consent", "perhaps"),
        ("combinations", ["browser+colour"]),
        ("combinations", ["browser"]),
        ("combinations", ["sku+category"]),
        ("combinations", ["os+region"] * 9),
    ],
)
def test_what_ingest_could_not_use_is_refused_with_the_field(as_role: Any, shop: Project, field: str, value: Any) -> None:
    answer = as_role("admin").patch(f"/api/v1/projects/{shop.pk}/", {field: value}, content_type="application/json")
    assert answer.status_code == 400
    assert field in answer.content.decode()
