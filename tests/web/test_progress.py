"""Progress as a terminal and as a log get it."""

import pytest

from funnelwatch.web import progress as module
from funnelwatch.web.progress import LOG_SECONDS, TERMINAL_SECONDS, Progress


class Clock:
    """Stands in for the time module."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def import_of_a_minute(clock: Clock, seconds: float) -> list[str]:
    """What is written of 600 reports in 60 seconds."""
    lines: list[str] = []
    progress = Progress(lines.append, seconds)
    for done in range(0, 601):
        clock.now = 100 + done / 10
        progress("importing", done, 600, done * 1_000, "events")
    progress.end()
    return lines


def test_a_log_gets_a_line_every_ten_seconds_and_the_last_one(clock: Clock) -> None:
    lines = import_of_a_minute(clock, LOG_SECONDS)
    assert lines[0] == "importing:  17%, 100,000 events, 10,000 events a second, 50 s left"
    assert lines[-1] == "importing: 100%, 600,000 events, 10,000 events a second"
    assert len(lines) == 6


def test_a_terminal_gets_two_a_second(clock: Clock) -> None:
    assert 115 <= len(import_of_a_minute(clock, TERMINAL_SECONDS)) <= 121


def test_work_that_is_done_before_a_line_is_due_is_said_once_at_its_end(clock: Clock) -> None:
    lines: list[str] = []
    progress = Progress(lines.append, LOG_SECONDS)
    progress("reading", 1, 2, 1, "files")
    progress("reading", 2, 2, 2, "files")
    progress("storing", 5, 10, 5, "rows")
    assert [line[:13] for line in lines] == ["reading: 100%"]
    progress.say("learning")
    progress.end()
    progress.end()
    assert [line.partition(",")[0] for line in lines] == ["reading: 100%", "storing:  50%", "learning"]
