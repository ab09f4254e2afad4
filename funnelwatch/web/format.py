"""Times as people write them in the current zone; numbers and money are written by core/format.py."""

from datetime import datetime

from django.utils import timezone

from funnelwatch.core import clock
from funnelwatch.core.format import DASH as DASH
from funnelwatch.core.format import MINUS as MINUS
from funnelwatch.core.format import NBSP as NBSP
from funnelwatch.core.format import NONE as NONE
from funnelwatch.core.format import SIGNS as SIGNS
from funnelwatch.core.format import THIN as THIN
from funnelwatch.core.format import duration as duration
from funnelwatch.core.format import group as group
from funnelwatch.core.format import money as money
from funnelwatch.core.format import percent as percent
from funnelwatch.core.format import points as points
from funnelwatch.core.format import signed as signed
from funnelwatch.core.format import value as value


def when(moment: datetime | None) -> str:
    """In the current zone: clock time today, "Fri 20:04" within a week, "12 Sep 2026" before and after."""
    if moment is None:
        return NONE
    local, now = timezone.localtime(moment), timezone.localtime(clock.now())
    days = (now.date() - local.date()).days
    if days == 0:
        return f"{local:%H:%M}"
    if 0 < days < 7:
        return f"{local:%a %H:%M}"
    return f"{local.day} {local:%b %Y}"


def zone(moment: datetime) -> str:
    """The name of an aware time's zone: "IST", or "UTC−10" and "UTC+5:45" where it has none but its distance."""
    name = f"{moment:%Z}"
    if name[:1] not in "+-":
        return name
    hours, minutes = name[1:3], name[3:5]
    return f"UTC{MINUS if name[0] == '-' else '+'}{int(hours)}{f':{minutes}' if minutes.strip('0') else ''}"
