"""Progress of long work as short lines of text: share, rate and time left."""

import time
from collections.abc import Callable

#: Between two lines about the same work: to a person at a terminal, where one replaces the other, and into a log.
TERMINAL_SECONDS, LOG_SECONDS = 0.5, 10.0


class Progress:
    """Call it as often as you like with what is done; it writes a line at most every `seconds`, and the last one at the end.

    `write` gets the text of a line. Real time, not the product's clock: this is about the person waiting.
    """

    def __init__(self, write: Callable[[str], None], seconds: float = TERMINAL_SECONDS) -> None:
        self._write = write
        self._seconds = seconds
        self._label = ""
        self._held: Callable[[], str] | None = None
        self._restart(0, 0)

    def say(self, text: str) -> None:
        """A line of its own, at once."""
        self.end()
        self._write(text)

    def passing(self, text: Callable[[], str]) -> None:
        """A line that the next one makes old: written if it is time for one, else kept for `end`."""
        self._held = text
        if time.monotonic() - self._written >= self._seconds:
            self.end()

    def end(self) -> None:
        """The work so far is done: write the line that still waits."""
        if self._held is not None:
            self._write(self._held())
            self._held = None
            self._written = time.monotonic()

    def __call__(self, label: str, done: float, total: float, count: int, unit: str) -> None:
        """`done` of `total` (any measure) gives the share and time left; `count` of `unit` gives the rate."""
        if label != self._label:
            self.end()
            self._label = label
            self._restart(done, count)
        self.passing(lambda: self._measured(done, total, count, unit))

    def _measured(self, done: float, total: float, count: int, unit: str) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        share = done / total if total else 1.0
        rate = (count - self._count_before) / seconds
        text = f"{self._label}: {share:4.0%}, {count:,} {unit}, {rate:,.0f} {unit} a second"
        moved = done - self._done_before
        if done < total and moved > 0:
            text += f", {_duration(seconds * (total - done) / moved)} left"
        return text

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
