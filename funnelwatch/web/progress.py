"""Progress of long work as short lines of text: share, rate and time left."""

import time
from collections.abc import Callable

SECONDS_BETWEEN = 0.5


class Progress:
    """Call it as often as you like with what is done; it writes a line at most twice a second.

    `write` gets the text of a line. Real time, not the product's clock: this is about the person waiting.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._label = ""
        self._restart(0, 0)

    def say(self, text: str) -> None:
        """A line of its own, at once."""
        self._write(text)

    def __call__(self, label: str, done: float, total: float, count: int, unit: str) -> None:
        """`done` of `total` (any measure) gives the share and time left; `count` of `unit` gives the rate."""
        if label != self._label:
            self._label = label
            self._restart(done, count)
        now = time.monotonic()
        if now - self._written < SECONDS_BETWEEN:
            return
        self._written = now
        seconds = max(now - self._started, 1e-3)
        share = done / total if total else 1.0
        rate = (count - self._count_before) / seconds
        text = f"{label}: {share:4.0%}, {count:,} {unit}, {rate:,.0f} {unit} a second"
        moved = done - self._done_before
        if done < total and moved > 0:
            text += f", {_duration(seconds * (total - done) / moved)} left"
        self._write(text)

    def _restart(self, done: float, count: int) -> None:
        self._started = self._written = time.monotonic()
        self._done_before = done
        self._count_before = count


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
