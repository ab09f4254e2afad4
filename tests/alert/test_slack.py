"""The Slack message and what happens when Slack does not do as asked."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from funnelwatch.alert import blocks, message
from funnelwatch.incidents.models import Cause, TimelineEntry

NOW = datetime(2026, 3, 2, 9, 6, tzinfo=UTC)  # when the incident of conftest.py was found


def _texts(content) -> str:
    return json.dumps(content, ensure_ascii=False)


def test_the_first_message_says_what_for_whom_since_when_how_much_and_why(slack, deliver):
    delivery = deliver("slack")
    (post,) = slack.posted("chat.postMessage")
    assert slack.requests[0].headers["authorization"] == "Bearer xoxb-secret"
    assert post["channel"] == "#ops"
    assert post["text"] == (
        "Payment conversion fell 18\u202f% for iOS Safari · ig_sale since 14:32. ₹3.4\u00a0lakh at risk per hour. Likely cause: CDN config 4f2c."
    )
    (attachment,) = post["attachments"]
    assert attachment["color"] == "#D03B23"
    kinds = [block["type"] for block in attachment["blocks"]]
    assert kinds == ["header", "section", "section", "section", "actions", "context"]
    body = attachment["blocks"][1]["text"]["text"]
    assert body.startswith(
        "Conversion is 50.9\u202f% (49.2\u202f%–52.6\u202f%); we expect 62.1\u202f%. *₹3.4\u00a0lakh at risk per hour.*"
    )
    assert (
        "*Very likely cause (86\u202f%):* <https://cdn.example/4f2c|CDN config 4f2c>, started 14:25 by Karan S." in body
    )
    assert "Began 7 min after it &amp; not before" in _texts(attachment)
    assert "Open the checkout on an iPhone" in _texts(attachment)
    assert attachment["blocks"][-1]["elements"][0]["text"].endswith(
        "found 14:36, 4\u00a0min after it began · FunnelWatch for Loomlane"
    )
    assert delivery.external_ref == "C1:17.000000"
    assert delivery.sent_at == NOW
    assert TimelineEntry.objects.get(kind="alert_sent").data["channel"] == "slack"


def test_buttons_that_need_an_answer_are_shown_only_where_presses_can_reach_us(slack, deliver):
    built = message.build(deliver("slack"))
    plain, live = (
        blocks.first_message(built, buttons=buttons)["attachments"][0]["blocks"][4] for buttons in (False, True)
    )
    assert [element["action_id"] for element in plain["elements"]] == ["open", "playbook"]
    assert [element["action_id"] for element in live["elements"]] == ["ack", "open", "playbook", "more"]


def test_news_goes_into_the_thread_and_the_first_message_is_edited(slack, deliver, incident):
    first = deliver("slack")
    incident.status, incident.resolved_at = "resolved", NOW
    incident.save()
    deliver("slack", "resolved", NOW + timedelta(minutes=30))
    edit, reply = slack.posted("chat.update")[0], slack.posted("chat.postMessage")[1]
    assert f"{edit['channel']}:{edit['ts']}" == first.external_ref
    assert edit["attachments"][0]["blocks"][0]["text"]["text"].startswith("Resolved: ")
    assert edit["attachments"][0]["color"] == "#27925A"
    assert (reply["thread_ts"], reply["reply_broadcast"]) == ("17.000000", True)
    assert "₹1.8\u00a0lakh lost" in reply["text"]


def test_an_update_edits_without_a_new_message(slack, deliver):
    deliver("slack")
    deliver("slack", "updated", NOW + timedelta(minutes=3))
    assert len(slack.posted("chat.postMessage")) == 1
    assert len(slack.posted("chat.update")) == 1


def test_a_rate_limit_is_waited_out_for_as_long_as_slack_says(slack, deliver):
    slack.script = [(429, {"Retry-After": "40"}, b'{"ok": false, "error": "ratelimited"}')]
    delivery = deliver("slack")
    assert (delivery.sent_at, delivery.next_try_at) == (None, NOW + timedelta(seconds=40))
    deliver("slack", "acknowledged", NOW + timedelta(seconds=39))
    assert len(slack.requests) == 1, "nothing overtakes the first message"
    deliver("slack", "resolved", NOW + timedelta(seconds=41))
    assert [r.path for r in slack.requests if "post" in r.path] == ["/api/chat.postMessage"] * 4


@pytest.mark.parametrize(
    "fault",
    [
        (500, {}, b"<html>oops</html>"),
        (200, {}, b"not json"),
        (200, {}, b'{"ok": false, "error": "internal_error"}'),
        (503, {}, b'{"ok": false, "error": "service_unavailable"}'),
    ],
    ids=["500 html", "200 non-JSON", "200 ok:false", "503"],
)
def test_a_passing_fault_is_tried_again_with_growing_waits(slack, deliver, fault):
    slack.script = [fault]
    delivery = deliver("slack")
    assert delivery.sent_at is None
    assert delivery.channel.disabled_reason == ""
    assert delivery.next_try_at == NOW + timedelta(seconds=5)
    slack.script = [fault]
    deliver("slack", "updated", NOW + timedelta(seconds=6))
    delivery.refresh_from_db()
    assert delivery.next_try_at == NOW + timedelta(seconds=6 + 10)


def test_a_post_that_arrived_although_the_answer_was_lost_is_not_posted_again(slack, deliver):
    def store_then_reset(request):
        slack.default(request)
        return "reset"

    slack.script = [store_then_reset]
    delivery = deliver("slack", config={"token": "xoxb-secret", "channel": "C1"})
    assert delivery.sent_at is None
    deliver("slack", "updated", NOW + timedelta(seconds=10))
    delivery.refresh_from_db()
    assert delivery.external_ref == "C1:17.000000"
    assert len(slack.posted("chat.postMessage")) == 1


def test_the_same_holds_for_a_reply_in_the_thread_of_a_channel_known_by_name(slack, deliver):
    deliver("slack")
    slack.script = [slack.default, lambda request: slack.default(request) and "reset"]
    deliver("slack", "resolved", NOW + timedelta(minutes=5))
    deliver("slack", "opened", NOW + timedelta(minutes=9))
    replies = [post["text"].split("*")[1] for post in slack.posted("chat.postMessage")[1:]]
    assert replies == ["Resolved", "It is back."]


def test_without_the_right_to_read_history_it_is_posted_again(slack, deliver):
    slack.script = ["reset", (200, {}, b'{"ok": false, "error": "missing_scope"}')]
    deliver("slack", config={"token": "xoxb-secret", "channel": "C1"})
    deliver("slack", "updated", NOW + timedelta(seconds=10))
    assert len(slack.posted("chat.postMessage")) == 2


@pytest.mark.parametrize("error", ["channel_not_found", "invalid_auth", "is_archived", "token_revoked"])
def test_what_only_a_person_can_fix_switches_the_channel_off_and_says_why(slack, deliver, incident, error):
    slack.script = [(200, {}, json.dumps({"ok": False, "error": error}).encode())]
    delivery = deliver("slack")
    delivery.channel.refresh_from_db()
    assert error in delivery.channel.disabled_reason
    assert delivery.failed_at == NOW
    deliver("slack", "resolved", NOW + timedelta(hours=1))
    assert len(slack.requests) == 1
    assert "could not be told" in incident.timeline.get(kind="comment").text


def test_blocks_that_slack_refuses_go_out_as_plain_text(slack, deliver):
    slack.script = [(200, {}, b'{"ok": false, "error": "invalid_blocks"}')]
    assert deliver("slack").sent_at == NOW
    assert "attachments" not in slack.posted("chat.postMessage")[1]
    assert slack.posted("chat.postMessage")[1]["text"].startswith("Payment conversion fell")


def test_a_message_stays_within_slacks_limits_whatever_people_call_things(slack, deliver, incident):
    incident.title = "<!channel> & " * 22
    incident.save()
    Cause.objects.update(
        title="a|b>" * 70, evidence=[{"kind": "time", "text": "x & y " * 3000, "weight": 1.0, "data": {}}] * 3
    )
    deliver("slack")
    post = slack.posted("chat.postMessage")[0]
    rows = post["attachments"][0]["blocks"]
    assert len(rows[0]["text"]["text"]) <= 150
    assert all(len(row["text"]["text"]) <= 3000 for row in rows if row["type"] == "section" and "text" in row)
    assert blocks._length(rows) <= 13_200
    assert "<!channel>" not in post["text"]
    assert rows[1]["text"]["text"].count("<https://") == rows[1]["text"]["text"].count("|") == 1


def test_too_much_text_in_all_leaves_out_the_facts_and_then_the_evidence():
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    kept = blocks._within_total([{"type": "header"}, section, *[dict(section, n=n) for n in range(5)]])
    assert [row.get("n") for row in kept[2:]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a&amp;b", 4, "a…"), ("x <http://y|z>", 8, "x …")],
)
def test_clipping_never_leaves_half_an_entity_or_link(text, limit, cut):
    assert blocks.clip(text, limit) == cut
