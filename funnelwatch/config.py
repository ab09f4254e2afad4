"""Product knobs: every one has a name, a default and a reason, and may be set by `FUNNELWATCH_<NAME>` in the environment.

Deployment (where the stores are) lives in settings.py; what a project chooses for itself lives in the projects app.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Setting(NamedTuple):
    """One knob. The default's type decides how an environment value is read."""

    name: str
    default: int | float | bool | str
    help: str


SETTINGS = (
    Setting("max_event_bytes", 32_768, "Largest single event, as Segment's API has it."),
    Setting("max_batch_bytes", 512_000, "Largest batch after decompression, as Segment's API has it."),
    Setting("future_hours", 24, "An event dated further ahead than this is given its time of receipt and marked."),
    Setting("dedup_hours", 72, "How long a message id is remembered; clients resend for up to a day, 48 h is promised."),
    Setting("rate_per_second", 5_000, "Events a second a project may send in the long run."),
    Setting("rate_burst", 600_000, "Events a project may send above that rate before 429: a 10 s peak of 60,000 a second."),
    Setting("spool_max_mb", 8_192, "Spool size at which ingest answers 429 instead of filling the disk."),
    Setting("readers", 2, "Processes a busy web process has read what clients send; 0: it reads itself."),
    Setting("geo_mmdb", "", "A MaxMind City file of the operator's own, for regions; without it only countries are known."),
    Setting("session_gap_minutes", 30, "Inactivity that ends a session where the client sends no session id; GA4's default."),
    Setting("tick_seconds", 10, "How often the running minute is rolled up and judged."),
    Setting("history_days", 14, "History before the first judgement in a replay, and the span baselines learn from at most 28."),
    Setting("false_incidents_per_week", 0.3, "False-alarm budget of the installation: under 10 % at 3 incidents a week."),
    Setting("max_series", 2_000, "Cohort series watched per funnel step; rarer values pool into their parent."),
)

_by_name = {setting.name: setting for setting in SETTINGS}
_overrides: dict[str, int | float | bool | str] = {}


def get(name: str) -> int | float | bool | str:
    """The value of a knob. Raises KeyError for an unknown name, ValueError for an environment value of the wrong type."""
    setting = _by_name[name]
    if name in _overrides:
        return _overrides[name]
    text = os.environ.get(f"FUNNELWATCH_{name.upper()}")
    if text is None:
        return setting.default
    return _read(setting, text)


def get_int(name: str) -> int:
    """`get` for whole numbers."""
    return int(get(name))


def get_float(name: str) -> float:
    """`get` for real numbers."""
    return float(get(name))


@contextmanager
def override(**values: int | float | bool | str) -> Iterator[None]:
    """Set knobs for a block (tests). Raises KeyError for an unknown name."""
    for name in values:
        _by_name[name]
    before = dict(_overrides)
    _overrides.update(values)
    try:
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)


def _read(setting: Setting, text: str) -> int | float | bool | str:
    kind = type(setting.default)
    variable = f"FUNNELWATCH_{setting.name.upper()}"
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{variable} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{variable} must be {kind.__name__}, not {text!r}") from None
