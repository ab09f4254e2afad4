"""Template filters and tags: thin names for format.py, words.py and svg.py."""

from datetime import datetime

from django import template
from django.contrib.auth.models import AbstractBaseUser

from funnelwatch.core import clock
from funnelwatch.web import format, svg, words

register = template.Library()

register.filter("money", format.money)
register.filter("group", format.group)
register.filter("percent", format.percent)
register.filter("signed", format.signed)
register.filter("points", format.points)
register.filter("duration", format.duration)
register.filter("when", format.when)
register.filter("step", words.step)
register.filter("steps", words.step_range)
register.filter("cohort", words.cohort)
register.filter("humanise", words.humanise)
register.filter("likelihood", words.likelihood)

register.simple_tag(svg.band_spark)
register.simple_tag(svg.loss_chart)
register.simple_tag(svg.icon, name="ico")


@register.simple_tag
def glyph(kind: str, solid: bool = False) -> str:
    """The glyph of a kind of change (CONTRACT's kinds)."""
    return svg.glyph(words.GLYPHS.get(kind, "third"), words.KINDS.get(kind, words.humanise(kind)), solid)


@register.inclusion_tag("web/parts/sev.html")
def sev(severity: str, muted: bool = False) -> dict:
    """Shape, colour and word of a severity; `muted` once the incident is over."""
    css, shape = words.SEVERITIES[severity]
    return {"css": "minor" if muted else css, "icon": shape, "word": severity.capitalize()}


@register.inclusion_tag("web/parts/status.html")
def status(code: str) -> dict:
    """The dot that fills up, and its word."""
    css, word = words.STATUSES[code]
    return {"css": css, "word": word}


@register.inclusion_tag("web/parts/avatar.html")
def avatar(name: str) -> dict:
    """Initials on one of four grounds, always the same for a name."""
    parts = [part for part in name.replace("@", " ").replace(".", " ").split() if part]
    initials = "".join(part[0] for part in parts[:2]).upper() or "?"
    return {"name": name, "initials": initials, "css": f"av-{'adnk'[sum(map(ord, name)) % 4]}"}


@register.filter
def kind(code: str) -> str:
    """The word for a kind of change."""
    return words.KINDS.get(code, words.humanise(code))


@register.filter
def person(user: AbstractBaseUser) -> str:
    """Full name, else the name to log in with."""
    return user.get_full_name() or user.get_username()


@register.filter
def moment(seconds: int) -> datetime:
    """Unix seconds as a time, for `when` and `date`."""
    return clock.from_ms(seconds * 1000)


@register.filter
def clock_of(iso: str | None) -> str:
    """An ISO 8601 time of the contract's JSON as `when` writes it."""
    return format.when(datetime.fromisoformat(iso) if iso else None)


@register.filter
def rate(number: float, currency: str) -> str:
    """A count a second or minute: whole from 10 on, else with one decimal."""
    return format.value(number, "volume", currency)


@register.filter
def times(number: float, factor: float) -> float:
    """Multiplied, for widths of bars."""
    return round(float(number) * float(factor), 3)


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: str) -> str:
    """The current query string with some parameters changed; an empty value drops one."""
    params = context["request"].GET.copy()
    params.pop("cursor", None)
    for name, value in changes.items():
        params.pop(name, None)
        if value:
            params[name] = value
    return "?" + params.urlencode()
