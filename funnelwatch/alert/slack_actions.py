"""Presses on the buttons of a Slack message: `POST /slack/{channel}/actions`, signed with that channel's signing secret.

The answer is empty either way: the message is edited by the delivery that the act itself writes.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from funnelwatch.core import clock, signatures
from funnelwatch.incidents import respond
from funnelwatch.incidents.models import Incident
from funnelwatch.projects.models import Channel

_MOST_BYTES = 100_000
_VERDICTS = ("real", "false_alarm", "expected")


@csrf_exempt
@require_POST
def receive(request: HttpRequest, channel_id: int) -> HttpResponse:
    """The view: 404 for a channel that takes no presses, 401 for a bad signature, 400 for what cannot be read, else 200."""
    channel = Channel.objects.filter(pk=channel_id, kind="slack").first()
    secret = channel.config.get("signing_secret") if channel else None
    if not channel or not secret:
        return _refusal(404, "unknown_channel", "This channel takes no presses; give it Slack's signing secret.")
    body = request.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        return _refusal(413, "too_large", f"The body is larger than {_MOST_BYTES:,} bytes.")
    get = request.headers.get
    try:
        signatures.verify_slack(secret, get("X-Slack-Request-Timestamp", ""), get("X-Slack-Signature", ""), body)
    except signatures.BadSignature as error:
        return _refusal(401, "bad_signature", f"Not signed with this channel's signing secret: {error}.")
    try:
        presses = list(_presses(json.loads(parse_qs(body.decode())["payload"][0])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _refusal(400, "unreadable", f"Not a press as Slack writes it: {type(error).__name__}.")
    for incident_id, act, person in presses:
        incident = Incident.objects.filter(pk=incident_id, project=channel.project_id).first()
        if incident:
            _act(incident, act, person)
    return HttpResponse()


def _presses(payload: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """(incident, act, person) of each press that is ours to answer; links open by themselves."""
    if payload["type"] != "block_actions":
        return
    user = payload["user"]
    person = f"{user.get('name') or user.get('username') or user['id']} (Slack)"
    for action in payload["actions"]:
        if action["action_id"] == "more":
            number, _, act = action["selected_option"]["value"].partition(":")
        else:
            number, act = action.get("value", ""), action["action_id"]
        if act == "ack" or act in _VERDICTS:
            yield int(number), act, person


def _act(incident: Incident, act: str, person: str) -> None:
    """Do it, once: Slack repeats a press whose answer it missed, and a signature is good for five minutes."""
    actor = respond.Actor(person)
    if act == "ack":
        try:
            respond.set_status(incident, "acknowledged", actor)
        except (respond.ActedFirst, respond.NotPossible):
            return  # the edited message already says who was first, or that it is over
    else:
        recent = clock.now() - timedelta(seconds=signatures.TOLERANCE_S)
        note = f"by {person}"
        if not incident.feedback.filter(verdict=act, note=note, at__gte=recent).exists():
            respond.judge(incident, act, actor, note)


def _refusal(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"code": code, "message": message}, status=status)
