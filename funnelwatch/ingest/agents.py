"""User agent text to device, OS and browser. Distinct texts are few, so the parse is cached and the hot path pays a dict lookup."""

import re
from functools import lru_cache
from typing import NamedTuple

from ua_parser import parse


class Agent(NamedTuple):
    """`device` is mobile, tablet, desktop, bot or other; versions are dotted numbers, empty when unknown."""

    device: str
    os: str
    os_version: str
    browser: str
    browser_version: str


_MOST_TEXT = 500

UNKNOWN = Agent("", "", "", "", "")


def _folding(names: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Each name and its variants in lower case -> the name."""
    return {variant.lower(): name for name, variants in names.items() for variant in (name, *variants)}


#: What the parser and clients call it, folded into the name people know; mobile variants are the same browser.
_BROWSERS = _folding({
    "Safari": ("Mobile Safari", "Mobile Safari UI/WKWebView", "Safari (in-app)"),
    "Chrome": ("Chrome Mobile", "Chrome Mobile iOS", "Chrome Mobile WebView", "HeadlessChrome", "Google Chrome"),
    "Firefox": ("Firefox Mobile", "Firefox iOS", "Mozilla Firefox"),
    "Edge": ("Edge Mobile", "Microsoft Edge"),
    "Opera": ("Opera Mobile", "Opera Touch", "Opera Mini"),
    "DuckDuckGo": ("DuckDuckGo Mobile",),
    "IE": ("IE Mobile", "Internet Explorer"),
    "UC Browser": ("UC Browser Mobile",),
    "Samsung Internet": ("Samsung Browser", "SamsungBrowser"),
})  # fmt: skip
_SYSTEMS = _folding({
    "iOS": ("iPhone OS", "iPadOS"),
    "Android": (),
    "macOS": ("Mac OS X", "Mac OS", "OS X", "Macintosh"),
    "Windows": (),
    "ChromeOS": ("Chrome OS", "Chromium OS"),
    "Linux": ("Ubuntu", "Fedora", "Debian"),
})  # fmt: skip
_DESKTOPS = frozenset(("Windows", "macOS", "Linux", "ChromeOS", "FreeBSD", "OpenBSD"))
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk/|Kindle|SM-T\d|SM-X\d|Nexus (?:7|9|10)\b")
_LIBRARIES = (
    r"python|aiohttp|httpx|curl/|wget/|go-http-client|\bjava/|okhttp|libwww|axios|undici|guzzle|analytics-|rudder|funnelwatch-"
    r"|^(?!mozilla/).*\b(?:node|ruby)\b"
)
#: Robots that ua-parser does not call spiders: drivers, monitors and HTTP libraries.
_BOT = re.compile(
    # Cubot makes phones, and a model may be called Monitor, Preview, Ruby or Node: such words count outside a browser's own text only.
    r"(?<!\bcu)bot\b|crawl|spider|slurp|headless|phantomjs|lighthouse|pagespeed|pingdom|uptime|gtmetrix|synthetic|facebookexternalhit"
    r"|(?:^(?!mozilla/).*|compatible;[^)]*)(?:monitor|preview)|monitor(?:ing)?/|preview/|web preview|scrapy|selenium|puppeteer|playwright|" + _LIBRARIES,
    re.IGNORECASE,
)
_LIBRARY = re.compile(_LIBRARIES, re.IGNORECASE)


def parse_agent(text: str) -> Agent:
    """The agent behind a User-Agent header. Real ones stay under 400 characters, the rest is cut."""
    return _parse(text[:_MOST_TEXT]) if text else UNKNOWN


@lru_cache(maxsize=10_000)
def _parse(text: str) -> Agent:
    result = parse(text)
    family = result.user_agent.family if result.user_agent else ""
    system = result.os.family if result.os else ""
    system = system_family(system)
    spider = result.device is not None and result.device.family == "Spider"
    if spider or _BOT.search(text):
        device = "bot"
    elif _TABLET.search(text) or (system == "Android" and "Mobile" not in text):
        device = "tablet"
    elif system in ("iOS", "Android") or "Mobi" in text:
        device = "mobile"
    elif system in _DESKTOPS:
        device = "desktop"
    else:
        device = "other"
    return Agent(device, system, _version(result.os), browser_family(family), _version(result.user_agent))


def system_family(name: str) -> str:
    """The one name of an operating system, however a client or the parser writes it; one that is not known stays as it is."""
    return _SYSTEMS.get(name.lower(), name)


def browser_family(name: str) -> str:
    """As `system_family`."""
    return _BROWSERS.get(name.lower(), name)


def is_library(text: str) -> bool:
    """Whether a User-Agent header is that of a program's HTTP library: it relays events and is not what the visitor uses."""
    return _is_library(text[:_MOST_TEXT])


@lru_cache(maxsize=1000)
def _is_library(text: str) -> bool:
    return bool(_LIBRARY.search(text))


def _version(part: object) -> str:
    numbers = (getattr(part, "major", None), getattr(part, "minor", None))
    return ".".join(number for number in numbers if number)
