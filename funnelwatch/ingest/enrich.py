"""Enrichment: a list of named, stateless steps. Each changes the draft and passes it on, or names the reason to drop it.

Sessions, new or returning and the landing page need a visitor's past and are derived at roll-up, not here.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from funnelwatch.core.vocabulary import DropReason
from funnelwatch.ingest import agents, campaign, geo, privacy, vocabulary
from funnelwatch.ingest.agents import parse_agent
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.commerce import read_properties, text
from funnelwatch.ingest.snapshot import address_in
from funnelwatch.ingest.wire import Message

Step = Callable[[Any, Message, Arrival], DropReason | None]

_DEVICES = frozenset(("mobile", "tablet", "desktop", "bot", "other"))
_PHONES = frozenset(("ios", "android", "phone", "smartphone"))
_CHANNELS = frozenset(("browser", "mobile", "server"))
_MOST_DEPTH = 12  # real properties nest two or three deep


def consent(draft: Any, message: Message, arrival: Arrival) -> DropReason | None:
    """What the visitor agreed to; dropped when that is nothing and the project asks for consent."""
    given = message.context.consent
    if given is None:
        return None
    draft.consent = _consent_state(given)
    return "no_consent" if draft.consent == "denied" and arrival.key.require_consent else None


def opt_out(draft: Any, message: Message, arrival: Arrival) -> DropReason | None:
    """Do-Not-Track and Global Privacy Control, where the project honours them."""
    return "do_not_track" if arrival.opted_out else None


def channel(draft: Any, message: Message, arrival: Arrival) -> None:
    """Browser, mobile or server; the client library; whether it is a test."""
    context = message.context
    if context.library is not None and context.library.name:
        library = draft.library = context.library.name[:100]
        for prefix, kind in vocabulary.LIBRARY_CHANNELS:
            if library.startswith(prefix):
                draft.channel = kind
                break
    stated = message.channel or context.channel
    if stated in _CHANNELS:
        draft.channel = stated
    draft.test = bool(message.test or context.test or (message.properties or {}).get("test") is True)


def user_agent(draft: Any, message: Message, arrival: Arrival) -> None:
    """Device, OS and browser: what the client states, else its user agent. A server's own agent says nothing of the visitor."""
    context = message.context
    if context.userAgent:
        agent = parse_agent(context.userAgent)
    elif draft.channel == "server" or agents.is_library(arrival.user_agent):
        agent = agents.UNKNOWN
    else:
        agent = parse_agent(arrival.user_agent)
    draft.device, draft.os, draft.os_version, draft.browser, draft.browser_version = agent
    if context.device is not None and context.device.type:
        stated = context.device.type.lower()
        draft.device = stated if stated in _DEVICES else "mobile" if stated in _PHONES else draft.device
    if context.os is not None and context.os.name:
        draft.os, draft.os_version = text(context.os.name), text(context.os.version)
    if context.browser is not None and context.browser.name:
        draft.browser, draft.browser_version = text(context.browser.name), text(context.browser.version)


def geography(draft: Any, message: Message, arrival: Arrival) -> None:
    """Country and region: stated, else a trusted CDN's, else from the address, which is then forgotten."""
    location = message.context.location
    if location is not None:
        draft.region = text(location.region)
        if location.country and len(location.country) == 2 and location.country.isalpha():
            draft.country = location.country.upper()
            return
    if draft.channel == "server":
        address = message.context.ip or ""
    elif arrival.country:
        draft.country, draft.region = arrival.country, draft.region or arrival.region
        return
    else:
        address = message.context.ip or arrival.address
    place = geo.locate(address)
    draft.country = place.country


def page(draft: Any, message: Message, arrival: Arrival) -> None:
    """Path, referring host and origin: the client's own campaign, else UTM, click ids and the referrer."""
    context = message.context
    where, stated = context.page, context.campaign
    if where is not None:
        visit = campaign.read_page(where.url or "", where.path or "", where.search or "", where.referrer or "")
        draft.page_path, draft.referrer = visit.path, visit.referrer
        draft.source, draft.medium, draft.campaign = visit.origin
    if stated is not None and (stated.source or stated.medium or stated.name):
        draft.source, draft.medium, draft.campaign = text(stated.source), text(stated.medium), text(stated.name)


def app_version(draft: Any, message: Message, arrival: Arrival) -> None:
    """The shop's own release, which deploys are matched with."""
    app = message.context.app
    if app is not None:
        draft.app_version = text(app.version)


def variants(draft: Any, message: Message, arrival: Arrival) -> None:
    """`experiment:variant` for each experiment the visitor is in."""
    experiments = message.context.experiments
    if experiments:
        draft.variants = tuple(f"{text(name)}:{text(value)}" for name, value in list(experiments.items())[:50])


def deny_list(draft: Any, message: Message, arrival: Arrival) -> None:
    """Properties that are never stored leave here, at any depth."""
    if message.properties:
        message.properties = _without_denied(message.properties, arrival.key.property_deny_list, 0)


def commerce(draft: Any, message: Message, arrival: Arrival) -> None:
    """Money, order, cart lines, payment and shipping; the rest stays JSON."""
    if message.properties:
        rest = read_properties(draft, message.properties)
        if rest:
            draft.properties = msgspec.json.encode(rest).decode()


def robots(draft: Any, message: Message, arrival: Arrival) -> None:
    """Marks known bots and browser traffic out of data centres: stored, never counted."""
    if draft.device == "bot":
        draft.bot = True
    elif draft.channel == "browser":
        draft.bot = geo.locate(message.context.ip or arrival.address).hosting


def pseudonyms(draft: Any, message: Message, arrival: Arrival) -> None:
    """Ids become keyed hashes. A session id that is only unique for its visitor gets the visitor in front."""
    salt = arrival.key.salt
    if message.userId not in (None, ""):
        draft.user_id = draft.visitor_id = privacy.pseudonym(salt, str(message.userId))
    if message.anonymousId not in (None, ""):
        draft.visitor_id = privacy.pseudonym(salt, str(message.anonymousId))
    session = message.context.sessionId
    if session:
        session = str(session)[:64]
        draft.session_id = session if len(session) > 15 and not session.isdecimal() else f"{draft.visitor_id}.{session}"


def excluded_addresses(draft: Any, message: Message, arrival: Arrival) -> None:
    """Events from the shop's own people and probes are kept but marked as tests."""
    networks = arrival.key.excluded_addresses
    if networks and address_in(message.context.ip or arrival.address, networks):
        draft.test = True


def scrub(draft: Any, message: Message, arrival: Arrival) -> None:
    """Cards, e-mails and phone numbers leave free text."""
    if draft.properties != "{}":
        draft.properties = privacy.scrub(draft.properties)
    if "@" in draft.name:
        draft.name = privacy.scrub(draft.name)


STEPS: tuple[tuple[str, Step], ...] = tuple(
    (step.__name__, step)
    for step in (
        consent, opt_out, channel, user_agent, geography, page, app_version, variants, deny_list, commerce, robots, pseudonyms,
        excluded_addresses, scrub,
    )
)  # fmt: skip


def _consent_state(given: str | bool | dict[str, Any]) -> str:
    if isinstance(given, str):
        return given.strip().lower()[:40]
    if isinstance(given, bool):
        return "granted" if given else "denied"
    choices = given.get("categoryPreferences", given)
    if not isinstance(choices, dict) or not choices:
        return ""
    for name, choice in choices.items():
        if any(word in name.lower() for word in ("analytic", "statistic", "performance", "measure")):
            return "granted" if choice in (True, "granted") else "denied"
    return "granted" if any(choice in (True, "granted") for choice in choices.values()) else "denied"


def _without_denied(value: Any, denied: frozenset[str], depth: int) -> Any:
    if value.__class__ is dict:
        if depth == _MOST_DEPTH:
            return {}
        return {
            name: inner if inner.__class__ not in (dict, list) else _without_denied(inner, denied, depth + 1)
            for name, inner in value.items()
            if (lower := name.lower()) not in privacy.ALWAYS_DENIED and lower not in denied
        }
    if depth == _MOST_DEPTH:
        return []
    return [inner if inner.__class__ not in (dict, list) else _without_denied(inner, denied, depth + 1) for inner in value]
