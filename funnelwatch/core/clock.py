"""The only clock of the product.

Time is a parameter: replay, backtests and the flow test run the same jobs at a simulated time. Code that needs "now" calls
`now()`; nothing else in the package reads the system's time for a product decision.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

_simulated: ContextVar[datetime | None] = ContextVar("simulated_now", default=None)

#: A file holding one ISO 8601 time. Several processes that share it share one simulated clock (used by the flow test).
CLOCK_FILE_ENV = "FUNNELWATCH_CLOCK_FILE"


def now() -> datetime:
    """The current time, aware, in UTC: simulated if this context or the clock file says so, else the system's."""
    simulated = _simulated.get()
    if simulated is not None:
        return simulated
    clock_file = os.environ.get(CLOCK_FILE_ENV)
    if clock_file:
        return _parse(Path(clock_file).read_text())
    return datetime.now(UTC)


def now_ms() -> int:
    """`now()` as integer milliseconds since the epoch."""
    if _simulated.get() is None and CLOCK_FILE_ENV not in os.environ:
        return time.time_ns() // 1_000_000
    return to_ms(now())


def is_simulated() -> bool:
    """Whether `now()` is anything but the system's clock."""
    return _simulated.get() is not None or CLOCK_FILE_ENV in os.environ


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Run the block at `moment` (aware). Nested and concurrent contexts do not see one another's time."""
    if moment.tzinfo is None:
        raise ValueError("clock.at needs an aware datetime")
    token = _simulated.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _simulated.reset(token)


def to_ms(moment: datetime) -> int:
    """Integer milliseconds since the epoch of an aware datetime."""
    return round(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """Aware UTC datetime of integer milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_minute(moment: datetime) -> int:
    """Whole minutes since the epoch (floor) of an aware datetime: the unit of every series."""
    return int(moment.timestamp() // 60)


def from_minute(minute: int) -> datetime:
    """Aware UTC datetime at which epoch minute `minute` starts."""
    return datetime.fromtimestamp(minute * 60, UTC)


def _parse(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"{CLOCK_FILE_ENV}: {text.strip()!r} has no time zone")
    return moment.astimezone(UTC)
