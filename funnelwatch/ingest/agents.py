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

#: Parser families folded into the one people know; mobile variants are the same browser.
_BROWSERS = {
    "Mobile Safari": "Safari", "Mobile Safari UI/WKWebView": "Safari", "Chrome Mobile": "Chrome", "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome", "Firefox Mobile": "Firefox", "Firefox iOS": "Firefox", "Edge Mobile": "Edge",
    "Opera Mobile": "Opera", "Opera Touch": "Opera", "Opera Mini": "Opera", "DuckDuckGo Mobile": "DuckDuckGo",
    "IE Mobile": "IE", "HeadlessChrome": "Chrome", "UC Browser Mobile": "UC Browser",
}  # fmt: skip
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Ubuntu": "Linux", "Fedora": "Linux", "Debian": "Linux"}
_DESKTOPS = frozenset(("Windows", "macOS", "Linux", "ChromeOS", "FreeBSD", "OpenBSD"))
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk/|Kindle|SM-T\d|SM-X\d|Nexus (?:7|9|10)\b")
_LIBRARIES = (
    r"python|aiohttp|httpx|curl/|wget/|go-http-client|java/|okhttp|libwww|axios|node|undici|ruby|guzzle|analytics-|rudder|funnelwatch-"
)
#: Robots that ua-parser does not call spiders: drivers, monitors and HTTP libraries.
_BOT = re.compile(
    r"bot\b|crawl|spider|slurp|headless|phantomjs|lighthouse|pagespeed|pingdom|uptime|gtmetrix|synthetic|monitor|facebookexternalhit"
    r"|preview|scrapy|selenium|puppeteer|playwright|" + _LIBRARIES,
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
    system = _SYSTEMS.get(system, system)
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
    return Agent(device, system, _version(result.os), _BROWSERS.get(family, family), _version(result.user_agent))


def is_library(text: str) -> bool:
    """Whether a User-Agent header is that of a program's HTTP library: it relays events and is not what the visitor uses."""
    return _is_library(text[:_MOST_TEXT])


@lru_cache(maxsize=1000)
def _is_library(text: str) -> bool:
    return bool(_LIBRARY.search(text))


def _version(part: object) -> str:
    numbers = (getattr(part, "major", None), getattr(part, "minor", None))
    return ".".join(number for number in numbers if number)
