"""Editing a funnel: rows by the server, a preview of the last day, versions that stay."""

from typing import Any

import pytest
from django.test import Client

from funnelwatch import pipeline
from funnelwatch.core.events import Event
from funnelwatch.projects.models import AuditRow, Funnel, Project
from funnelwatch.store.queries import events
from tests.web.conftest import NOW, text_of

PAGE = "/p/loomlane/settings/funnels/storefront/"
NEW = "/p/loomlane/settings/funnels/"
FORM = {
    "count_by": "session", "window_minutes": "30", "step_name": ["look", "buy"], "step_events": ["page_view, view_item", "purchase"],
    "step_filters": ["device != tablet\nsource = google, (direct)", ""],
}  # fmt: skip
STEPS = [
    {"name": "look", "events": ["page_view", "view_item"], "filters": [
        {"property": "device", "values": ["tablet"], "negate": True}, {"property": "source", "values": ["google", "(direct)"], "negate": False},
    ]},
    {"name": "buy", "events": ["purchase"], "filters": []},
]  # fmt: skip


def send(client: Client, act: str, page: str = PAGE, **changed: Any) -> Any:
    return client.post(page, {**FORM, **changed, "act": act}, follow=True)


def a_visit(project: Project, number: int, names: tuple[str, ...], minutes_ago: int, visitor: str = "") -> list[Event]:
    start = int(NOW.timestamp() * 1000) - minutes_ago * 60_000
    return [
        Event(project_id=project.pk, message_id=f"{number}-{name}", name=name, ts=start + at * 1_000, received_at=start + at * 1_000,
              visitor_id=visitor or f"v{number}", session_id=f"s{number}", device="mobile", source="google")
        for at, name in enumerate(names)
    ]  # fmt: skip


@pytest.fixture
def visits(shop: Project) -> None:
    """Four looked, two of them bought; one more did a day and a half ago."""
    client = pipeline.runtime().client
    pages = [("view_item", "purchase"), ("view_item",), ("view_item", "remove_from_cart", "purchase"), ("page_view",)]
    made = [event for number, names in enumerate(pages) for event in a_visit(shop, number, names, 60 * (number + 1))]
    events.insert(client, made + a_visit(shop, 9, ("view_item", "purchase"), 2_200), f"edit-{shop.pk}")


def test_the_form_shows_the_watched_version_and_saving_makes_the_next_one(alice: Client, shop: Project) -> None:
    assert 'value="add_to_cart"' in alice.get(PAGE).content.decode()
    assert "watched as version 2" in text_of(send(alice, "save"))
    new = Funnel.objects.get(active=True)
    assert (new.version, new.steps, new.window_minutes, new.count_by) == (2, STEPS, 30, "session")
    assert "device != tablet\nsource = google, (direct)" in alice.get(PAGE).content.decode()
    assert "Nothing differs from version 2" in text_of(send(alice, "save"))
    assert Funnel.objects.count() == 2
    assert AuditRow.objects.get().data == {"version": 2, "steps": ["look", "buy"]}


def test_the_funnel_page_leads_to_the_form(alice: Client, bob: Client, shop: Project, visits: None) -> None:
    for client, word in ((alice, "Edit"), (bob, "Definition")):
        assert f'<a class="link" href="{PAGE}">{word}</a>' in client.get("/p/loomlane/funnel/").content.decode()


def test_an_older_version_is_kept_and_can_be_opened_and_watched_again(alice: Client, shop: Project) -> None:
    old = Funnel.objects.get().steps
    send(alice, "save")
    opened = alice.get(PAGE, {"version": 1}).context["form"]
    data = {"step_name": [row.name for row in opened.steps], "step_events": [row.events for row in opened.steps], "step_filters": [""] * len(old)}
    send(alice, "save", window_minutes=opened.window_minutes, **data)
    assert Funnel.objects.get(active=True).version == 3
    assert Funnel.objects.get(version=1).steps == Funnel.objects.get(version=3).steps == old


def test_rows_are_added_moved_and_taken_out_without_saving(alice: Client, shop: Project) -> None:
    def names(act: str) -> list[str]:
        return [row.name for row in send(alice, act).context["form"].steps]

    assert names("add-step") == ["look", "buy", ""]
    assert names("up-step-2") == ["buy", "look"]
    assert names("up-step-1") == ["look", "buy"]
    assert names("drop-step-1") == ["buy"]
    assert names("drop-step-9") == ["look", "buy"]
    assert len(send(alice, "add-exclusion").context["form"].exclusions) == 1
    assert Funnel.objects.get().version == 1


def test_a_step_left_empty_does_not_count(alice: Client, shop: Project) -> None:
    send(alice, "save", step_name=["look", "", "buy"], step_events=["page_view", "", "purchase"], step_filters=["", " ", ""])
    assert [step["name"] for step in Funnel.objects.get(active=True).steps] == ["look", "buy"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"step_name": ["look", ""], "step_events": ["page_view", ""]}, "at least two steps"),
        ({"step_name": ["look", "look"]}, "Two steps are called 'look': give each a name of its own"),
        ({"step_events": ["page_view", ""]}, "Step 2 (buy): name at least one event"),
        ({"step_filters": ["device tablet", ""]}, "Write a filter like payment_provider = stripe, paypal or device != tablet, not 'device tablet'"),
        ({"step_filters": ["device =", ""]}, "Step 1 (look): say which values of device count"),
        ({"step_filters": ["landing_page = /sale", ""]}, "filter on page_path instead"),
        ({"step_name": ["look > see", "buy"]}, "without '>'"),
        ({"window_minutes": "0"}, "The window is 1 to 10,080 minutes"),
        ({"count_by": "household"}, "Count by session or visitor"),
        ({"step_name": [str(n) for n in range(17)], "step_events": ["a"] * 17, "step_filters": [""] * 17}, "at most 16 steps: take 1 out"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(alice: Client, shop: Project, changed: dict[str, Any], said: str) -> None:
    assert said in text_of(send(alice, "preview", **changed))
    refused = send(alice, "save", **changed)
    assert (refused.status_code, said in text_of(refused)) == (400, True)
    assert Funnel.objects.get().version == 1


def test_the_preview_counts_the_last_day_and_names_what_nothing_matched(alice: Client, shop: Project, visits: None) -> None:
    preview = send(alice, "preview").context["preview"]
    assert [(step["step"], step["entered"], step["converted"], step["matched"]) for step in preview["steps"]] == [("look", 4, 2, 4), ("buy", 2, None, 2)]
    said = text_of(send(alice, "preview", step_events=["page_view, view_item", "pruchase"]))
    assert "No event matched: buy" in said
    assert "view_item 4" in said  # the names that do arrive stand beside it
    assert Funnel.objects.get().version == 1


def test_an_exclusion_ends_the_way_in_the_preview_and_is_saved(alice: Client, shop: Project, visits: None) -> None:
    gave_up = {"exclusion_name": [""], "exclusion_events": ["remove_from_cart"], "exclusion_filters": [""]}
    preview = send(alice, "preview", **gave_up).context["preview"]
    assert [step["entered"] for step in preview["steps"]] == [4, 1]
    assert preview["exclusions"] == [{"step": "remove_from_cart", "matched": 1}]
    send(alice, "save", **gave_up)
    assert Funnel.objects.get(active=True).exclusions == [{"name": "remove_from_cart", "events": ["remove_from_cart"], "filters": []}]


def test_a_visitor_who_comes_back_converts_only_when_counted_by_visitor(alice: Client, shop: Project) -> None:
    two_visits = a_visit(shop, 1, ("view_item",), 50, "anna") + a_visit(shop, 2, ("purchase",), 30, "anna")
    events.insert(pipeline.runtime().client, two_visits, f"back-{shop.pk}")
    bought = {by: send(alice, "preview", count_by=by).context["preview"]["steps"][1]["entered"] for by in ("session", "visitor")}
    assert bought == {"session": 0, "visitor": 1}


def test_without_events_the_preview_says_how_to_send_some(alice: Client, shop: Project) -> None:
    assert "No events to count yet" in text_of(send(alice, "preview"))


def test_a_second_funnel_is_watched_beside_the_first(alice: Client, shop: Project) -> None:
    assert "There is a funnel storefront already" in text_of(send(alice, "save", NEW, name="storefront"))
    assert "checkout is watched as version 1" in text_of(send(alice, "save", NEW, name="checkout"))
    assert set(Funnel.objects.filter(active=True).values_list("name", flat=True)) == {"storefront", "checkout"}


def test_a_viewer_sees_the_definition_and_may_not_send_it(bob: Client, charlie: Client, shop: Project) -> None:
    body = bob.get(PAGE).content.decode()
    assert "<fieldset disabled>" in body
    assert "Save as new version" not in body
    assert bob.post(PAGE, FORM | {"act": "save"}).status_code == 403
    assert charlie.get(PAGE).status_code == 404
    assert bob.get("/p/loomlane/settings/funnels/unknown/").status_code == 404
