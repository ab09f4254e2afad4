"""Where a visit came from: campaign parameters, click ids and the referrer of one page view."""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from funnelwatch.ingest.privacy import scrub
from funnelwatch.ingest.vocabulary import CLICK_IDS, SEARCH_ENGINES, SOCIAL_HOSTS

_MOST_URL = 2048
_MOST_PATH = 500


class Origin(NamedTuple):
    """Source, medium and campaign; all empty where the page says nothing (a referral from the shop itself)."""

    source: str
    medium: str
    campaign: str


UNKNOWN = Origin("", "", "")
DIRECT = Origin("(direct)", "(none)", "")


def path_of(url: str, path: str) -> str:
    """The path of a page without its query, scrubbed; `path` is the client's own word for it."""
    if not path:
        path = _split(url.partition("?")[0][:_MOST_PATH])[1]
    return _scrubbed(path.partition("?")[0][:_MOST_PATH])


def host_of(url: str) -> str:
    """The host of an address without `www.`; empty when it has none."""
    return _split(_site(url[:_MOST_PATH]))[0] if url else ""


def origin_of(url: str, search: str, referrer: str) -> Origin:
    """Where a page view came from. Never raises: an address that cannot be read says nothing."""
    address, _, query = url[:_MOST_URL].partition("?")
    from_query = _from_query(search.removeprefix("?")[:_MOST_URL] or query.partition("#")[0])
    return from_query or _from_referrer(host_of(address), host_of(referrer), bool(url))


def _site(address: str) -> str:
    """Scheme and host only, so that the pages of a shop share one cached answer."""
    end = address.find("/", 8)
    return address if end < 0 else address[:end]


@lru_cache(maxsize=16_384)
def _scrubbed(path: str) -> str:
    return scrub(path)


@lru_cache(maxsize=16_384)
def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removeprefix("www."), parts.path
    except ValueError:
        return "", ""


@lru_cache(maxsize=4_096)
def _from_query(query: str) -> Origin | None:
    if "=" not in query:
        return None
    try:
        # Separators are capped: a query of a thousand parameters is no landing page.
        given = dict(parse_qsl(query, max_num_fields=100))
    except ValueError:
        return None
    source, medium, name = (scrub(given.get(f"utm_{part}", "").strip()[:200]) for part in ("source", "medium", "campaign"))
    if source or medium or name:
        return Origin(source or "(not set)", medium or "(not set)", name)
    for parameter, (network, kind) in CLICK_IDS.items():
        if parameter in given:
            return Origin(network, kind, name)
    return None


@lru_cache(maxsize=16_384)
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
