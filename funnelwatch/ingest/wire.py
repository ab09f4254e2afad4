"""The shape of one message on the wire: the part of Segment's format we read. Everything else is skipped while decoding."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")
Number = int | float

NO_CONTEXT = Raw(b"{}")


class Page(Struct, gc=False):
    url: str | None = None
    path: str | None = None
    referrer: str | None = None
    search: str | None = None


class Named(Struct, gc=False):
    name: str | None = None
    version: str | int | float | None = None


class Device(Struct, gc=False):
    type: str | None = None


class Location(Struct, gc=False):
    country: str | None = None
    region: str | None = None


class Campaign(Struct, gc=False):
    source: str | None = None
    medium: str | None = None
    name: str | None = None


class Context(Struct, gc=False):
    page: Page | None = None
    userAgent: str | None = None
    ip: str | None = None
    library: Named | None = None
    campaign: Campaign | None = None
    device: Device | None = None
    os: Named | None = None
    browser: Named | None = None
    app: Named | None = None
    location: Location | None = None
    experiments: dict[str, Any] | None = None
    consent: str | bool | dict[str, Any] | None = None
    consentManagement: dict[str, Any] | None = None
    sessionId: str | Number | None = None
    channel: str | None = None
    test: bool | None = None


class Message(Struct, gc=False):
    type: str | None = None
    event: str | None = None
    name: str | None = None
    messageId: str | Number | None = None
    timestamp: str | Number | None = None
    originalTimestamp: str | Number | None = None
    sentAt: str | Number | None = None
    receivedAt: str | Number | None = None
    anonymousId: str | Number | None = None
    userId: str | Number | None = None
    channel: str | None = None
    test: bool | None = None
    context: Raw = NO_CONTEXT  # read apart, because the messages of a request mostly share it
    properties: dict[str, Any] | None = None
    writeKey: str | None = None


class Batch(Struct, gc=False):
    batch: list[Raw]
    sentAt: str | Number | None = None
    writeKey: str | None = None
    context: Raw = NO_CONTEXT  # of messages that have none


decode_message = msgspec.json.Decoder(Message).decode
decode_batch = msgspec.json.Decoder(Batch).decode
_decode_context = msgspec.json.Decoder(Context | None).decode

_PATH = re.compile(r"\$((?:\.\w+)+)")
_NOTHING: tuple[str, ...] = ()
_MOST_PRUNED = 16  # something with more wrong fields than this is not worth repairing


def read_message(raw: bytes | Raw) -> tuple[Message, Sequence[str]]:
    """A message and the names of fields left out because their type is wrong: one odd field costs no event.

    Raises msgspec.DecodeError (ValidationError when it is no object or hopeless), UnicodeDecodeError or RecursionError.
    """
    try:
        return decode_message(raw), _NOTHING
    except msgspec.ValidationError:
        return _leniently(decode_message, raw)


def read_context(raw: bytes) -> tuple[Context, Sequence[str]]:
    """As `read_message`; a context that is no object is as good as none."""
    try:
        return _decode_context(raw) or Context(), _NOTHING
    except msgspec.ValidationError:
        pass
    try:
        context, pruned = _leniently(_decode_context, raw)
    except msgspec.ValidationError:
        return Context(), [""]
    return context or Context(), pruned


def _leniently(decode: Callable[[bytes | Raw], T], raw: bytes | Raw) -> tuple[T, Sequence[str]]:
    """Decode what is wrong somewhere, without the fields at fault."""
    document = msgspec.json.decode(raw)
    pruned: list[str] = []
    while True:
        try:
            return decode(msgspec.json.encode(document)), pruned
        except msgspec.ValidationError as error:
            path = _PATH.search(str(error))
            if path is None or len(pruned) == _MOST_PRUNED:
                raise
            pruned.append(path[1][1:])
            _prune(document, pruned[-1].split("."))


def _prune(document: dict[str, Any], path: list[str]) -> None:
    for name in path[:-1]:
        document = document[name]
    del document[path[-1]]
