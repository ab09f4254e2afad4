"""Where a visit came from: campaign parameters, click ids and the referrer of one page view."""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from funnelwatch.ingest.privacy import scrub
from funnelwatch.ingest.vocabulary import CLICK_IDS, SEARCH_ENGINES, SOCIAL_HOSTS

_MOST_URL = 2048


class Origin(NamedTuple):
    """Source, medium and campaign; all empty where the page says nothing (a referral from the shop itself)."""

    source: str
    medium: str
    campaign: str


UNKNOWN = Origin("", "", "")
DIRECT = Origin("(direct)", "(none)", "")


class Visit(NamedTuple):
    """What one page's address and referrer say."""

    path: str
    referrer: str  # host only
    origin: Origin


@lru_cache(maxsize=65_536)
def read_page(url: str, path: str, search: str, referrer: str) -> Visit:
    """Path, referring host and origin of a page. Never raises: an address that cannot be read says nothing."""
    page, came_from = _split(url), _split(referrer)
    host, referring_host = page[0], came_from[0]
    path = path or page[1]
    origin = _from_query(search.removeprefix("?") or page[2]) or _from_referrer(host, referring_host, bool(url or path))
    return Visit(scrub(path.split("?", 1)[0][:500]), referring_host, origin)


def _split(url: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(url[:_MOST_URL])
        return (parts.hostname or "").removeprefix("www."), parts.path, parts.query
    except ValueError:
        return "", "", ""


def _from_query(query: str) -> Origin | None:
    if "=" not in query:
        return None
    try:
        # Separators are capped: a query of a thousand parameters is no landing page.
        given = dict(parse_qsl(query[:_MOST_URL], max_num_fields=100))
    except ValueError:
        return None
    source, medium, name = (scrub(given.get(f"utm_{part}", "").strip()[:200]) for part in ("source", "medium", "campaign"))
    if source or medium or name:
        return Origin(source or "(not set)", medium or "(not set)", name)
    for parameter, (network, kind) in CLICK_IDS.items():
        if parameter in given:
            return Origin(network, kind, name)
    return None


def _from_referrer(host: str, referring_host: str, page_known: bool) -> Origin:
    if not referring_host:
        return DIRECT if page_known else UNKNOWN
    if f".{referring_host}".endswith(f".{host}") or f".{host}".endswith(f".{referring_host}"):
        return UNKNOWN
    labels = referring_host.split(".")
    for label in labels[:-1]:
        if label in SEARCH_ENGINES:
            return Origin(label, "organic", "")
    network = SOCIAL_HOSTS.get(labels[-2] if len(labels) > 1 else "")
    return Origin(network, "social", "") if network else Origin(referring_host, "referral", "")
