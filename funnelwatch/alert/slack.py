"""Slack through slack-sdk: one message an incident, edited as things change; news goes to its thread.

Slack has no idempotency key. Each post carries its delivery's key as message metadata, and a repeated try first looks whether
the last one arrived (with the `channels:history` scope; without it a crash between sending and marking can show a post twice).
"""

import http.client
from typing import Any

from django.conf import settings
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from funnelwatch.alert import blocks
from funnelwatch.alert.channel import DeliveryError, retry_after
from funnelwatch.alert.message import Message
from funnelwatch.incidents.models import Delivery

EVENTS = frozenset({"opened", "updated", "escalated", "acknowledged", "resolved"})
REQUIRED = ("token", "channel")

_METADATA = "funnelwatch_delivery"
#: What only a person can put right.
_PERMANENT = frozenset({
    "channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "not_authed", "account_inactive", "token_revoked",
    "token_expired", "missing_scope", "no_permission", "restricted_action", "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "ekm_access_denied", "team_not_found",
    "messages_tab_disabled", "org_login_required", "team_access_not_granted",
})  # fmt: skip
#: The rich form was refused: the plain text still tells the story.
_TOO_RICH = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_attachments", "too_many_attachments"}
)
#: The first message cannot be edited any more; the thread still can.
_NOT_EDITABLE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


def send(delivery: Delivery, message: Message) -> str:
    """Post or edit; returns `channel:ts` of what stands for this delivery. Raises DeliveryError."""
    config = delivery.channel.config
    # Its own retries would post twice what a lost answer had already posted.
    client = WebClient(token=config["token"], base_url=settings.SLACK_URL, timeout=10, retry_handlers=[])
    content = blocks.first_message(message, buttons=bool(config.get("signing_secret")))
    try:
        if not message.thread:
            return _post(client, delivery, content, channel=config["channel"])
        channel, _, ts = message.thread.partition(":")
        _edit(client, channel, ts, content)
        if delivery.event == "updated":
            return message.thread
        loud = delivery.event in ("opened", "escalated", "resolved")
        return _post(client, delivery, blocks.reply(message), channel=channel, thread_ts=ts, reply_broadcast=loud)
    except SlackApiError as error:
        raise _translated(error) from error
    except (SlackClientError, OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(f"Slack cannot be reached: {type(error).__name__}") from error


def _post(client: WebClient, delivery: Delivery, content: dict[str, Any], **where: Any) -> str:
    if delivery.attempts > 1 and (found := _already_there(client, delivery, where)):
        return found
    metadata = {"event_type": _METADATA, "event_payload": {"delivery": delivery.dedup_key}}
    try:
        answer = client.chat_postMessage(**where, **content, metadata=metadata, unfurl_links=False)
    except SlackApiError as error:
        if _name(error) not in _TOO_RICH:
            raise
        answer = client.chat_postMessage(**where, text=content["text"], metadata=metadata, unfurl_links=False)
    return f"{answer['channel']}:{answer['ts']}"


def _edit(client: WebClient, channel: str, ts: str, content: dict[str, Any]) -> None:
    try:
        client.chat_update(channel=channel, ts=ts, **content)
    except SlackApiError as error:
        if _name(error) not in _NOT_EDITABLE:
            raise


def _already_there(client: WebClient, delivery: Delivery, where: dict[str, Any]) -> str:
    """The reference of an earlier try that arrived, else nothing; also nothing where we may not look.

    History is asked by channel id only, so not for the first message of a channel configured by its name.
    """
    if where["channel"].startswith("#"):
        return ""
    oldest = str(delivery.created_at.timestamp())
    try:
        if "thread_ts" in where:
            page = client.conversations_replies(
                channel=where["channel"], ts=where["thread_ts"], oldest=oldest, include_all_metadata=True, limit=100
            )
        else:
            page = client.conversations_history(
                channel=where["channel"], oldest=oldest, include_all_metadata=True, limit=100
            )
    except SlackApiError as error:
        if _name(error) in ("missing_scope", "channel_not_found", "not_in_channel"):
            return ""
        raise
    for row in page["messages"]:
        if (row.get("metadata") or {}).get("event_payload", {}).get("delivery") == delivery.dedup_key:
            return f"{where['channel']}:{row['ts']}"
    return ""


def _translated(error: SlackApiError) -> DeliveryError:
    name = _name(error)
    headers = getattr(error.response, "headers", None) or {}
    wait = retry_after(headers.get("Retry-After") or headers.get("retry-after"))
    return DeliveryError(f"Slack answered {name}", permanent=name in _PERMANENT, retry_after=wait)


def _name(error: SlackApiError) -> str:
    """Slack's error code; the status where the answer carried none."""
    response = error.response
    data = getattr(response, "data", response)
    if isinstance(data, dict) and data.get("error"):
        return str(data["error"])
    return f"HTTP {getattr(response, 'status_code', 'error')}"
