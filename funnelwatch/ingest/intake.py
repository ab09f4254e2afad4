"""The one path from raw messages to finished drafts: decode, validate, enrich. HTTP, webhooks and imports all take it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from funnelwatch.core.events import Drop, Event
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.dialects import from_shopify, is_shopify
from funnelwatch.ingest.draft import FIELDS, decode_lines, encode_lines
from funnelwatch.ingest.enrich import STEPS
from funnelwatch.ingest.validate import validate
from funnelwatch.ingest.wire import Message, convert_leniently, decode_leniently

_STEPS = tuple(step for _, step in STEPS)
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

Notes = list[dict[str, Any]]


def to_events(messages: Iterable[bytes | Raw | Mapping[str, Any]], arrival: Arrival) -> tuple[list[Event], list[Drop]]:
    """Segment-shaped messages to events, exactly as HTTP would make them, and the drops with their reasons.

    For imported files use an Arrival whose `received_at` is None: each message's own `receivedAt` counts.
    """
    drafts, drops = [], []
    for message in messages:
        raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
        made = read_one(raw, arrival)
        (drops if made.__class__ is Drop else drafts).append(made)
    return decode_lines(encode_lines(drafts)), drops


def read_one(raw: bytes | Raw, arrival: Arrival) -> Any:
    """One message to a Draft or a Drop. Never raises for what a client sent."""
    try:
        if memoryview(raw).nbytes > arrival.max_event_bytes:
            return Drop("too_large", f"an event may have {arrival.max_event_bytes} bytes")
        message, _, raw = _decode(raw)
        draft = validate(message, arrival, raw)
        if draft.__class__ is Drop:
            return draft
        for step in _STEPS:
            reason = step(draft, message, arrival)
            if reason is not None:
                return Drop(reason, "", draft.message_id, draft.name)
        return draft
    except _UNREADABLE as error:
        return _unreadable(error)


def read_one_noting(raw: bytes | Raw, arrival: Arrival, notes: Notes) -> Any:
    """As `read_one`, and what each step did to the draft goes into `notes`: for the sample that the live view shows."""
    try:
        if memoryview(raw).nbytes > arrival.max_event_bytes:
            return Drop("too_large", f"an event may have {arrival.max_event_bytes} bytes")
        message, pruned, raw = _decode(raw)
        notes.extend({"step": "decode", "ignored": path} for path in pruned)
        draft = validate(message, arrival, raw)
        if draft.__class__ is Drop:
            return draft
        notes.append({"step": "validate", "set": {"name": draft.name, "ts": draft.ts, "skew_ms": draft.skew_ms}})
        for name, step in STEPS:
            before = msgspec.structs.astuple(draft)
            reason = step(draft, message, arrival)
            if reason is not None:
                notes.append({"step": name, "dropped": reason})
                return Drop(reason, "", draft.message_id, draft.name)
            after = msgspec.structs.astuple(draft)
            changed = {field: new for field, old, new in zip(FIELDS, before, after, strict=True) if new != old}
            if changed:
                notes.append({"step": name, "set": changed})
        return draft
    except _UNREADABLE as error:
        return _unreadable(error)


def _decode(raw: bytes | Raw) -> tuple[Message, list[str], Any]:
    message, pruned = decode_leniently(raw)
    if message.type is None and message.event is None and message.name is not None:
        document = msgspec.json.decode(raw)
        if is_shopify(document):
            document = from_shopify(document)
            return *convert_leniently(document), document
    return message, pruned, raw


def _unreadable(error: Exception) -> Drop:
    if isinstance(error, msgspec.ValidationError):
        return Drop("not_an_object", str(error)[:200])
    return Drop("invalid_json", str(error)[:200] or type(error).__name__)
