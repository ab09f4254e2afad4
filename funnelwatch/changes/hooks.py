"""`POST /hooks/{connector}/{hook_id}`: what other systems tell us. The id is in the address, the signature is the proof."""

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from funnelwatch.changes import connector, ledger
from funnelwatch.core import clock, signatures
from funnelwatch.projects.models import Connector, HookDelivery

logger = logging.getLogger(__name__)

#: A Shopify order with a thousand lines has 2 MB; GitHub's pushes stay below with their 2,048 commits at most.
MOST_BYTES = 5_000_000
#: Longer than any sender's own retries (GitHub lets a person send again for 3 days).
REMEMBERED = timedelta(days=7)

#: What readers raise for a body that is not shaped as its sender documents it.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)

#: How many of a project's messages became events, and how many did not, by reason.
Accepted = tuple[int, dict[str, int]]
AcceptEvents = Callable[[int, list[dict[str, Any]]], Accepted]


class TryLater(Exception):
    """Events cannot be kept just now; the sender is asked to come again."""


def receiver(accept_events: AcceptEvents) -> Callable[..., HttpResponseBase]:
    """The view. `accept_events(project_id, messages)` makes events from a server durable and counts them, or raises TryLater."""

    @csrf_exempt
    def receive(request: HttpRequest, kind: str, hook_id: str) -> HttpResponseBase:
        if request.method != "POST":
            return _refusal(405, "method_not_allowed", "Send a POST.", Allow="POST")
        hook = Connector.objects.select_related("project").filter(hook_id=hook_id, kind=kind, disabled_at=None).first()
        if hook is None or kind not in connector.CONNECTORS:
            return _refusal(404, "unknown_hook", "There is no such hook; copy its address from the settings page.")
        body = request.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            return _refusal(413, "too_large", f"The body is larger than {MOST_BYTES:,} bytes.")
        try:
            return _take(hook, {key.lower(): value for key, value in request.headers.items()}, body, accept_events)
        except signatures.BadSignature as error:
            logger.warning("hook %s of %s: %s", kind, hook.project.name, error)
            return _refusal(401, "bad_signature", f"Not signed with this hook's secret: {error}.")
        except TryLater as error:
            return _refusal(503, "try_later", str(error), **{"Retry-After": "30"})

    return receive


def _take(hook: Connector, headers: dict[str, str], body: bytes, accept_events: AcceptEvents) -> JsonResponse:
    """Check, read and keep. What was seen before is answered as a success and changes nothing: a sender repeats until it has one."""
    module = connector.load(hook.kind)
    module.verify(headers, body, hook.secret)
    try:
        parsed = module.parse(headers, body)
        changes = [ledger.clean(row) for row in parsed.changes]
    except UNREADABLE as error:
        return _refusal(
            400, "unreadable", f"Signed, but not as {hook.kind} writes it: {type(error).__name__}: {error}"[:300]
        )
    if not changes and not parsed.events:
        return JsonResponse({"success": True, "changes": 0, "events": 0})
    accepted, rejected = 0, {}
    try:
        with transaction.atomic():
            _remember(hook, module.delivery_id(headers), body)
            for fields in changes:
                ledger.upsert(hook.project, fields)
            events = _not_repeated(hook, parsed)
            if events:
                accepted, rejected = accept_events(hook.project_id, events)
    except _Seen:
        return JsonResponse({"success": True, "repeated": True})
    answer = {"success": True, "changes": len(changes), "events": accepted}
    return JsonResponse(answer | {"rejected": rejected} if rejected else answer)


class _Seen(Exception):
    """This delivery, or the same body under another name, was taken before."""


def _remember(hook: Connector, delivery_id: str, body: bytes) -> None:
    """The body's own digest catches a replay under a new id, for senders whose signature covers the body alone."""
    now = clock.now()
    keys = {hashlib.sha256(body).hexdigest()}
    if delivery_id:
        keys.add(_key("id", delivery_id))
    HookDelivery.objects.filter(connector=hook, until__lt=now).delete()
    if HookDelivery.objects.filter(connector=hook, key__in=keys).exists():
        raise _Seen
    try:
        with transaction.atomic():
            HookDelivery.objects.bulk_create(HookDelivery(connector=hook, key=key, until=now + REMEMBERED) for key in keys)
    except IntegrityError:
        raise _Seen from None
    Connector.objects.filter(pk=hook.pk).update(last_seen_at=now)


def _not_repeated(hook: Connector, parsed: connector.Parsed) -> list[dict[str, Any]]:
    """The events but for those that came once and may not come again, as long as the project keeps its events."""
    keys = {identity: _key("event", identity) for identity in parsed.once}
    known = set(HookDelivery.objects.filter(connector=hook, key__in=keys.values()).values_list("key", flat=True))
    until = clock.now() + timedelta(days=hook.project.retention_days)
    # Where two deliveries of one order come at the same time both are taken: within days ingest tells repetitions by their id.
    HookDelivery.objects.bulk_create(
        (HookDelivery(connector=hook, key=key, until=until) for key in set(keys.values()) - known), ignore_conflicts=True
    )
    return [event for event in parsed.events if keys.get(event.get("messageId")) not in known]


def _key(kind: str, identity: str) -> str:
    return hashlib.sha256(f"{kind}:{identity}".encode()).hexdigest()


def _refusal(status: int, code: str, message: str, **headers: str) -> JsonResponse:
    return JsonResponse({"code": code, "message": message}, status=status, headers=headers)
