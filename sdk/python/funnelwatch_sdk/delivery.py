"""One batch over HTTP: gzip, retries with full jitter, Retry-After. No threads in here."""

import base64
import gzip
import http.client
import json
import random
import urllib.error
import urllib.request
from datetime import datetime, timezone
from threading import Event

from ._version import VERSION
from .errors import NotDelivered, Rejected, SdkError

MOST_EVENT_BYTES = 32_768
MOST_BATCH_BYTES = 500_000
#: Room for `{"batch":[],"sentAt":"..."}` around the events.
_ENVELOPE_BYTES = 64
#: Below this compressing costs more than it saves.
_GZIP_FROM_BYTES = 1_024
_LONGEST_WAIT_S = 60.0
#: The longest pause that a server, or whatever stands in front of it, may order by Retry-After.
_LONGEST_ORDER_S = 300.0
#: Answers that a later try can turn into a success.
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


def utc_text(moment: datetime) -> str:
    """`2026-03-02T10:28:30.120Z`; a time without zone is taken as local, as Python does."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fits(size: int, events: int, event: bytes) -> bool:
    """Whether a batch of `events` encoded events, `size` bytes together, has room for another one."""
    return size + len(event) + events + _ENVELOPE_BYTES <= MOST_BATCH_BYTES


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body."""

    def redirect_request(self, *args: object, **more: object) -> None:
        return None


class Sender:
    """Posts batches to one server with one write key."""

    def __init__(
        self, host: str, write_key: str, timeout: float, most_tries: int, first_wait: float, compress: bool
    ) -> None:
        self._url = host.rstrip("/") + "/v1/batch"
        token = base64.b64encode(f"{write_key}:".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": "application/json",
            "User-Agent": f"funnelwatch-python/{VERSION}",
        }
        self._timeout, self._most_tries, self._first_wait, self._compress = timeout, most_tries, first_wait, compress
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, events: list[bytes], stop: Event) -> SdkError | None:
        """Deliver, or say why not. A set `stop` ends the waiting between tries, not a try."""
        for attempt in range(self._most_tries):
            status, wait, answer = self._post(events)
            if 200 <= status < 300:
                return _rejected(answer)
            if status and status not in _PASSING:
                return NotDelivered(
                    f"{len(events)} events refused with status {status}: {answer[:200].decode(errors='replace')}"
                )
            jitter = random.uniform(0, min(_LONGEST_WAIT_S, self._first_wait * 2**attempt))
            if attempt + 1 < self._most_tries and stop.wait(max(wait, jitter)):
                break
        last = f"status {status}" if status else answer.decode(errors="replace")
        return NotDelivered(f"{len(events)} events given up after {attempt + 1} tries, the last one with {last}")

    def _post(self, events: list[bytes]) -> tuple[int, float, bytes]:
        """(status, seconds to wait, answer); status 0 where none came, with the reason as answer."""
        sent_at = utc_text(datetime.now(timezone.utc))
        body = b'{"batch":[' + b",".join(events) + b'],"sentAt":"' + sent_at.encode() + b'"}'
        headers: dict[str, str] = dict(self._headers)
        if self._compress and len(body) >= _GZIP_FROM_BYTES:
            body, headers["Content-Encoding"] = gzip.compress(body, 6), "gzip"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.status, 0.0, answer.read(65_536)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _seconds(error.headers.get("Retry-After")), error.read(1_024)
        except (OSError, http.client.HTTPException) as error:
            return 0, 0.0, f"{type(error).__name__}: {error}".encode()


def _seconds(header: str | None) -> float:
    return min(_LONGEST_ORDER_S, float(header)) if header and header.isascii() and header.isdigit() else 0.0


def _rejected(answer: bytes) -> Rejected | None:
    try:
        reasons = json.loads(answer)["rejected"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None  # none were, or a proxy's own page: the status is what counts
    return Rejected(reasons) if reasons and isinstance(reasons, dict) else None
