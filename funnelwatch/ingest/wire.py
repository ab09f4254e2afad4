"""The shape of one message on the wire: the part of Segment's format we read. Everything else is skipped while decoding."""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

Number = int | float
Text = str | int | float | bool | None  # what clients put where text belongs


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
    context: Context | None = None
    properties: dict[str, Any] | None = None
    writeKey: str | None = None


class Batch(Struct, gc=False):
    batch: list[Raw]
    sentAt: str | Number | None = None
    writeKey: str | None = None
    context: Context | None = None  # Segment: defaults for every message of the batch


EMPTY_CONTEXT = Context()

decode_message = msgspec.json.Decoder(Message).decode
decode_batch = msgspec.json.Decoder(Batch).decode

_PATH = re.compile(r"\$((?:\.\w+)+)")
_MOST_PRUNED = 16  # a message with more wrong fields than this is not worth repairing


def decode_leniently(raw: bytes | Raw) -> tuple[Message, list[str]]:
    """A message and the paths of fields left out because their type is wrong, so that one odd field costs no event.

    Raises msgspec.DecodeError (ValidationError when not an object or hopeless) or RecursionError.
    """
    try:
        return decode_message(raw), []
    except msgspec.ValidationError:
        return convert_leniently(msgspec.json.decode(raw))


def convert_leniently(document: Any) -> tuple[Message, list[str]]:
    """As `decode_leniently`, from decoded JSON. The document is changed: wrong fields are taken out of it."""
    pruned: list[str] = []
    while True:
        try:
            return msgspec.convert(document, Message), pruned
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
