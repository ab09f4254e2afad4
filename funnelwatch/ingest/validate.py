"""From one message on the wire to a draft of a canonical event: type, name, identity, time. The first stage that may drop."""

import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from funnelwatch.core.events import Drop
from funnelwatch.ingest import vocabulary
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.wire import Message

_MOST_NAME = 200
_MOST_ID = 256
_DAY_MS = 86_400_000
_MOST_TIME = 2**62  # a number sent for a time may be of any size; what it comes to fits 64 bits
_INT32 = 2_147_483_647  # 24 days: the recorded skew stops there, the column is 32 bits
#: A device clock further off than this says nothing about the delay of the event: no correction.
SKEW_LIMIT_MS = 366 * _DAY_MS

canonical_name = vocabulary.EVENTS.get


def validate(draft: Any, message: Message, arrival: Arrival, raw: bytes | msgspec.Raw) -> Drop | None:
    """Name, identity and time of the draft, or the Drop that says why there can be none.

    `raw` is the message's JSON, read again only where it has no id of its own.
    """
    properties = message.properties
    kind = message.type or arrival.default_type
    if kind == "track":
        sent_name = message.event
        if not sent_name or not (sent_name := sent_name.strip()):
            return _drop("missing_event", "a track call needs `event`", message)
        if len(sent_name) > _MOST_NAME:
            return _drop("invalid_value", f"`event` is longer than {_MOST_NAME} characters", message)
        name = canonical_name(sent_name) or canonical_name(sent_name.lower())
        if name is None:
            is_step = sent_name.lower() == "checkout step completed"
            name = vocabulary.checkout_step(properties or {}) if is_step else sent_name
    else:
        name = vocabulary.TYPES.get(kind)
        if name is None:
            return _drop("invalid_type", f"`type` must be track, page, screen, identify, group or alias, not {kind[:40]!r}", message)
    if message.anonymousId in (None, "") and message.userId in (None, ""):
        return _drop("missing_identity", "needs `anonymousId` or `userId`", message)
    draft.project_id, draft.message_id, draft.name = arrival.key.project_id, _message_id(message, raw), name
    _put_time(draft, message, arrival)
    return None


def parse_time(value: str | int | float | None) -> int | None:
    """Milliseconds since the epoch of ISO 8601 text (no zone: UTC) or epoch seconds or milliseconds; None if it is neither."""
    try:
        if value.__class__ is str:
            moment = datetime.fromisoformat(value)
            return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        if value is None:
            return None
        # Seconds reach 1e11 in the year 5138, milliseconds passed it in 1973.
        return round(value if abs(value) > 1e11 else value * 1000) if abs(value) < _MOST_TIME else int(math.copysign(_MOST_TIME, value))
    except (ValueError, OverflowError):
        return None


def _put_time(draft: Any, message: Message, arrival: Arrival) -> None:
    """`timestamp` + (`receivedAt` - `sentAt`) as Segment does; what that makes absurd becomes `receivedAt`, marked."""
    stated = parse_time(message.timestamp if message.timestamp is not None else message.originalTimestamp)
    received = arrival.received_at
    if received is None:
        received = parse_time(message.receivedAt)
        if received is None:
            received = stated if stated is not None else arrival.now
    draft.received_at = received
    if stated is None:
        draft.ts = received
        return
    sent = parse_time(message.sentAt) if message.sentAt is not None else arrival.sent_at
    skew = 0 if sent is None else received - sent
    draft.skew_ms = min(max(skew, -_INT32), _INT32)
    moment = stated + skew if abs(skew) <= SKEW_LIMIT_MS else stated
    if moment > received + arrival.future_ms:
        draft.ts, draft.time_mark = received, "future"
    elif moment < received - arrival.key.retention_days * _DAY_MS:
        draft.ts, draft.time_mark = received, "too_old"
    else:
        draft.ts = moment


def _message_id(message: Message, raw: bytes | msgspec.Raw) -> str:
    given = message.messageId
    if given.__class__ is str and 0 < len(given) <= _MOST_ID:
        return given
    if given in (None, ""):
        return _content_id(raw)
    text = str(given)
    return text if len(text) <= _MOST_ID else blake2b(text.encode(), digest_size=16).hexdigest()


def _content_id(raw: bytes | msgspec.Raw) -> str:
    """A hash of what the message says, whatever the order of its keys and however often it is sent."""
    content = msgspec.json.decode(raw)
    said = {name: value for name, value in content.items() if name not in ("sentAt", "receivedAt", "writeKey", "messageId")}
    return "c-" + blake2b(msgspec.json.encode(said, order="deterministic"), digest_size=16).hexdigest()


def _drop(reason: Any, detail: str, message: Message) -> Drop:
    return Drop(reason, detail, str(message.messageId or "")[:_MOST_ID], (message.event or message.type or "")[:_MOST_NAME])
