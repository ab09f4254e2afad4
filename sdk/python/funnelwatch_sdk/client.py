"""The client: calls put encoded events into a bounded queue, one daemon thread sends them in batches."""

import atexit
import json
import logging
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from ._version import VERSION
from .commerce import Commerce
from .delivery import MOST_EVENT_BYTES, Sender, fits, utc_text
from .errors import Dropped, NotDelivered, SdkError
from .reporting import reported

logger = logging.getLogger("funnelwatch_sdk")

_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client(Commerce):
    """Sends events of a shop's server to FunnelWatch. Safe to use from many threads and after a fork.

    No call waits for the network and none raises once the client exists: what cannot be sent, a call with arguments that
    do not fit included, is given to `on_error` (by default it is logged). Use it as a context manager, or let the exit hook send what is left.
    """

    def __init__(
        self,
        write_key: str,
        host: str,
        *,
        max_queue: int = 10_000,
        flush_at: int = 100,
        flush_interval: float = 1.0,
        timeout: float = 10.0,
        max_tries: int = 10,
        first_wait: float = 0.5,
        compress: bool = True,
        exit_timeout: float = 5.0,
        on_error: Callable[[SdkError], None] | None = None,
    ) -> None:
        """`host` like `https://watch.example.com`. Times in seconds. Raises ValueError for a key or host that cannot work."""
        if not write_key:
            raise ValueError("write_key is empty; copy it from the project's settings")
        if not _can_be_reached(host):
            raise ValueError(f"host must be like https://watch.example.com, not {host!r}")
        self._sender = Sender(host, write_key, timeout, max_tries, first_wait, compress)
        self._max_queue, self._flush_at, self._flush_interval = max_queue, flush_at, flush_interval
        self._exit_timeout = exit_timeout
        self._on_error = on_error or (lambda error: logger.warning("%s", error))
        self._start_fresh()
        _clients.add(self)
        atexit.register(_close, weakref.ref(self))

    def _start_fresh(self) -> None:
        """State of a new process: what the parent had queued, the parent sends."""
        self._queue: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._taken = self._settled = 0
        self._hurry = False
        self._closed = False
        self._thread: threading.Thread | None = None

    @reported
    def track(
        self,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        test: bool = False,
    ) -> str:
        """Something happened. Needs a user or anonymous id. Returns the message id, under which a repeat counts once."""
        content = {
            "type": "track",
            "event": event,
            "properties": dict(properties or {}),
            **({"test": True} if test else {}),
        }
        return self._enqueue(
            content,
            user_id=user_id,
            anonymous_id=anonymous_id,
            timestamp=timestamp,
            message_id=message_id,
            context=context,
        )

    @reported
    def identify(self, user_id: str, traits: Mapping[str, Any] | None = None, **common: Any) -> str:
        """A visitor is this customer. `common`: anonymous_id, timestamp, message_id, context as in `track`."""
        return self._enqueue({"type": "identify", "traits": dict(traits or {})}, user_id=user_id, **common)

    @reported
    def page(self, properties: Mapping[str, Any] | None = None, **common: Any) -> str:
        """A page was served. `properties` like url, path, title, referrer; `common` as in `track`."""
        return self._enqueue({"type": "page", "properties": dict(properties or {})}, **common)

    def flush(self, timeout: float | None = None) -> bool:
        """Send what is queued now; True when all of it is delivered or given up within `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            goal = self._taken
            self._hurry = True
            self._changed.notify_all()
            while self._settled < goal:
                left = None if end is None else end - time.monotonic()
                if (left is not None and left <= 0) or not self._changed.wait(left):
                    return self._settled >= goal
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Flush and stop; True when everything was settled. Later calls are dropped."""
        with self._changed:
            self._closed = True
        settled = self.flush(self._exit_timeout if timeout is None else timeout)
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
            left = len(self._queue)
        if left:
            self._report(Dropped(f"{left} events were still waiting when the client was closed"))
        return settled

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, event: str, properties: Mapping[str, Any], common: Mapping[str, Any]) -> str:
        return self.track(event, properties, **common)

    def _enqueue(
        self,
        content: dict[str, Any],
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> str:
        identity = str(message_id or uuid.uuid4())
        if not user_id and not anonymous_id:
            self._report(Dropped(f"{content.get('event', content['type'])}: needs a user_id or an anonymous_id"))
            return identity
        message = {
            "messageId": identity,
            **content,
            "timestamp": utc_text(timestamp or datetime.now(timezone.utc)),
            "channel": "server",
            "context": {**(context or {}), "library": {"name": "funnelwatch-python", "version": VERSION}},
        }
        message.update(
            {name: str(value) for name, value in (("userId", user_id), ("anonymousId", anonymous_id)) if value}
        )
        encoded = json.dumps(
            message, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
        if len(encoded) > MOST_EVENT_BYTES:
            self._report(
                Dropped(
                    f"{content.get('event', content['type'])}: {len(encoded):,} bytes are more than an event may have"
                )
            )
            return identity
        self._put(encoded)
        return identity

    def _put(self, encoded: bytes) -> None:
        with self._changed:
            refused = (
                "the client is closed"
                if self._closed
                else "the queue is full"
                if len(self._queue) >= self._max_queue
                else ""
            )
            if not refused:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="funnelwatch-sdk", daemon=True)
                    thread.start()  # raises where the system has no more threads: the next event tries again
                    self._thread = thread
                self._queue.append(encoded)
                self._taken += 1
                if len(self._queue) in (1, self._flush_at):
                    self._changed.notify_all()
        if refused:
            self._report(Dropped(f"an event was dropped: {refused}"))

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = self._next_batch()
            if not batch:
                continue
            error = self._deliver(batch)
            if error:  # before it counts as settled: who waits in `flush` has been told
                self._report(error)
            with self._changed:
                self._settled += len(batch)
                self._changed.notify_all()

    def _deliver(self, batch: list[bytes]) -> SdkError | None:
        try:
            return self._sender.send(batch, self._stop)
        except Exception as error:  # the only thread that sends must live, and `flush` waits for every batch
            return NotDelivered(f"{len(batch)} events given up: {type(error).__name__}: {error}")

    def _next_batch(self) -> list[bytes]:
        """Wait for events, then until there are enough, it has been long enough or somebody is in a hurry."""
        with self._changed:
            while not self._queue and not self._stop.is_set():
                self._hurry = False
                self._changed.wait()
            end = time.monotonic() + self._flush_interval
            while len(self._queue) < self._flush_at and not self._hurry and not self._stop.is_set():
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch: list[bytes] = []
            size = 0
            while self._queue and len(batch) < self._flush_at and fits(size, len(batch), self._queue[0]):
                batch.append(self._queue.popleft())
                size += len(batch[-1])
            return batch

    def _report(self, error: SdkError) -> None:
        try:
            self._on_error(error)
        except Exception:  # the shop's own handler must not stop its events
            logger.exception("on_error failed")


def _can_be_reached(host: str) -> bool:
    """Whether an address has what a request needs: a scheme of the web, a name that DNS can carry, a port that is a number."""
    try:
        parts = urlsplit(host)
        return parts.scheme in ("http", "https") and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        return False


def _plain(value: object) -> object:
    """What JSON has no form for: money as a number, times as ISO 8601, ids as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, (date, uuid.UUID)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _close(reference: "weakref.ref[Client]") -> None:
    client = reference()
    if client is not None and not client._closed:
        client.close()


def _after_fork() -> None:
    for client in list(_clients):
        client._start_fresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
