"""The one path from raw messages to finished drafts: decode, validate, enrich. HTTP, webhooks and imports all take it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from funnelwatch.core.events import Drop, Event
from funnelwatch.core.vocabulary import DropReason
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.dialects import SHOPIFY_TYPES, from_shopify, is_shopify
from funnelwatch.ingest.draft import (
    FIELDS,
    Draft,
    Row,
    decode_lines,
    encode_lines,
    to_event,
)
from funnelwatch.ingest.enrich import CONTEXT_STEPS, STEPS
from funnelwatch.ingest.validate import validate
from funnelwatch.ingest.wire import NO_CONTEXT, Message, read_context, read_message

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_MOST_SITUATIONS = 20_000  # an import is one arrival with no end of contexts; this is as many as it reads at a time
#: Drafts written at a time: what is made of 20,000 before the first is written has left the processor's caches, which costs a tenth.
_PIECE = 200

Notes = list[dict[str, Any]]


Sent = bytes | Raw | Mapping[str, Any]


def to_events(messages: Iterable[Sent], arrival: Arrival) -> tuple[list[Event], list[Drop]]:
    """Segment-shaped messages to events, exactly as HTTP would make them, and the drops with their reasons.

    For imported files use an Arrival whose `received_at` is None: each message's own `receivedAt` counts.
    """
    rows, drops = _to_rows(messages, arrival)
    return [to_event(row) for row in rows], drops


def read_block(raws: Sequence[bytes], arrival: Arrival) -> tuple[bytes, list[tuple[int, str]]]:
    """Many messages to spool lines (for `draft.read_lines`), and (index, reason) of those that became none.

    Bytes in, bytes out: imports run it in child processes, because it keeps the interpreter busy and ingest must not wait.
    """
    lines, dropped = [], []
    for begin in range(0, len(raws), _PIECE):
        drafts = []
        for index, raw in enumerate(raws[begin : begin + _PIECE], begin):
            made = read_one(raw, arrival)
            if made.__class__ is Drop:
                dropped.append((index, made.reason))
            else:
                drafts.append(made)
        lines.append(encode_lines(drafts))
    return b"".join(lines), dropped


def _to_rows(messages: Iterable[Sent], arrival: Arrival) -> tuple[list[Row], list[Drop]]:
    drafts, drops = [], []
    for message in messages:
        raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
        made = read_one(raw, arrival)
        (drops if made.__class__ is Drop else drafts).append(made)
    return decode_lines(encode_lines(drafts)), drops


def read_one(raw: bytes | Raw, arrival: Arrival, notes: Notes | None = None) -> Any:
    """One message to a Draft or a Drop. Never raises for what a client sent.

    With `notes`, what each step did to the draft is written there: for the sample that the live view shows.
    """
    try:
        if memoryview(raw).nbytes > arrival.max_event_bytes:
            return Drop("too_large", f"an event may have {arrival.max_event_bytes} bytes")
        message, raw = _decode(raw, notes)
        template, reason = _situation(message, arrival, notes)
        draft = template.__copy__()
        drop = validate(draft, message, arrival, raw)
        if drop is not None:
            return drop
        if reason is None:
            if notes is not None:
                notes.append({"step": "validate", "set": {"name": draft.name, "ts": draft.ts, "skew_ms": draft.skew_ms}})
            reason = _run(STEPS, draft, message, arrival, notes)
        return draft if reason is None else Drop(reason, "", draft.message_id, draft.name)
    except msgspec.ValidationError as error:
        return Drop("not_an_object", str(error)[:200])
    except _UNREADABLE as error:
        return Drop("invalid_json", str(error)[:200] or type(error).__name__)


def _decode(raw: bytes | Raw, notes: Notes | None) -> tuple[Message, bytes | Raw]:
    message, pruned = read_message(raw)
    if message.type in SHOPIFY_TYPES and message.event is None and message.name is not None:
        document = msgspec.json.decode(raw)
        if is_shopify(document):
            raw = msgspec.json.encode(from_shopify(document))
            message, pruned = read_message(raw)
    if notes is not None:
        notes.extend({"step": "decode", "ignored": path} for path in pruned)
    return message, raw


def _situation(message: Message, arrival: Arrival, notes: Notes | None) -> tuple[Any, DropReason | None]:
    """The draft as far as context and channel decide it, shared by the messages of a request that have the same ones."""
    raw = arrival.default_context if message.context is NO_CONTEXT else bytes(message.context)
    if notes is not None:
        return _work_out(raw, message.channel, arrival, notes)
    key = (raw, message.channel)
    found = arrival.situations.get(key)
    if found is None:
        if len(arrival.situations) == _MOST_SITUATIONS:
            arrival.situations.clear()
        found = arrival.situations[key] = _work_out(raw, message.channel, arrival, None)
    return found


def _work_out(raw: bytes, channel: str | None, arrival: Arrival, notes: Notes | None) -> tuple[Any, DropReason | None]:
    context, pruned = read_context(raw)
    if notes is not None:
        notes.extend({"step": "decode", "ignored": f"context.{path}".rstrip(".")} for path in pruned)
    if channel:
        context.channel = channel
    draft = Draft()
    return draft, _run(CONTEXT_STEPS, draft, context, arrival, notes)


def _run(steps: Sequence[tuple[str, Any]], draft: Any, source: Any, arrival: Arrival, notes: Notes | None) -> DropReason | None:
    if notes is None:
        for _, step in steps:
            reason = step(draft, source, arrival)
            if reason is not None:
                return reason
        return None
    for name, step in steps:
        reason = _noting(name, step, draft, source, arrival, notes)
        if reason is not None:
            return reason
    return None


def _noting(name: str, step: Any, draft: Any, source: Any, arrival: Arrival, notes: Notes) -> DropReason | None:
    before = msgspec.structs.astuple(draft)
    reason = step(draft, source, arrival)
    after = msgspec.structs.astuple(draft)
    changed = {field: new for field, old, new in zip(FIELDS, before, after, strict=True) if new != old}
    if changed:
        notes.append({"step": name, "set": changed})
    if reason is not None:
        notes.append({"step": name, "dropped": reason})
    return reason
