"""Enrichment: a list of named, stateless steps. Each changes the draft and passes it on, or names the reason to drop it.

What the context of a message decides comes first: the messages of a request mostly share it, so it is worked out once and copied.
Sessions, new or returning and the landing page need a visitor's past and are derived at roll-up, not here.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from funnelwatch.core.vocabulary import DropReason
from funnelwatch.ingest import agents, campaign, geo, privacy, vocabulary
from funnelwatch.ingest.agents import parse_agent
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.commerce import read_properties, text
from funnelwatch.ingest.consents import consent_state
from funnelwatch.ingest.snapshot import address_in
from funnelwatch.ingest.wire import Context, Message

ContextStep = Callable[[Any, Context, Arrival], DropReason | None]
Step = Callable[[Any, Message, Arrival], DropReason | None]

_DEVICES = frozenset(("mobile", "tablet", "desktop", "bot", "other"))
_PHONES = frozenset(("ios", "android", "phone", "smartphone"))
_CHANNELS = frozenset(("browser", "mobile", "server"))
_MOST_VARIANTS = 50
_MOST_DEPTH = 12  # real properties nest two or three deep


def consent(draft: Any, context: Context, arrival: Arrival) -> DropReason | None:
    """What the visitor agreed to; dropped when that is nothing and the project asks for consent."""
    if context.consent is None and context.consentManagement is None:
        return None
    draft.consent = consent_state(context.consent, context.consentManagement)
    return "no_consent" if draft.consent == "denied" and arrival.key.require_consent else None


def channel(draft: Any, context: Context, arrival: Arrival) -> None:
    """Browser, mobile or server, by what the message or its context says, else by the client library."""
    if context.library is not None and context.library.name:
        draft.library = context.library.name[:100]
        draft.channel = _library_channel(draft.library)
    if context.channel in _CHANNELS:
        draft.channel = context.channel
    if context.test:
        draft.test = True


def user_agent(draft: Any, context: Context, arrival: Arrival) -> None:
    """Device, OS and browser: what the client states, else its user agent. A server's own agent says nothing of the visitor."""
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
        draft.os, draft.os_version = agents.system_family(text(context.os.name)), text(context.os.version)
    if context.browser is not None and context.browser.name:
        draft.browser, draft.browser_version = agents.browser_family(text(context.browser.name)), text(context.browser.version)


def geography(draft: Any, context: Context, arrival: Arrival) -> None:
    """Country and region: stated, else a trusted CDN's, else from the address, which is then forgotten.

    A browser in a data centre is a robot.
    """
    place = geo.locate(context.ip or ("" if draft.channel == "server" else arrival.address))
    draft.country, draft.region = place.country, place.region
    draft.bot = place.hosting and draft.channel == "browser"
    if arrival.country and draft.channel != "server":
        _place(draft, arrival.country, arrival.region)
    location = context.location
    if location is not None:
        stated = location.country
        known = bool(stated) and len(stated) == 2 and stated.isalpha()
        _place(draft, stated.upper() if known else draft.country, text(location.region))


def page(draft: Any, context: Context, arrival: Arrival) -> None:
    """Path and referring host of the page."""
    where = context.page
    if where is not None:
        draft.page_path = campaign.path_of(where.url or "", where.path or "")
        draft.referrer = campaign.host_of(where.referrer or "")


def origin(draft: Any, context: Context, arrival: Arrival) -> None:
    """Source, medium and campaign: as the client resolved them, else from UTM, click ids and the referrer."""
    where, stated = context.page, context.campaign
    if stated is not None and (stated.source or stated.medium or stated.name):
        draft.source, draft.medium, draft.campaign = (
            text(stated.source), text(stated.medium), text(stated.name),
        )  # fmt: skip
    elif where is not None:
        draft.source, draft.medium, draft.campaign = campaign.origin_of(where.url or "", where.search or "", where.referrer or "")


def app_version(draft: Any, context: Context, arrival: Arrival) -> None:
    """The shop's own release, which deploys are matched with. RudderStack's browser client names itself as the app: that is none."""
    app, library = context.app, context.library
    if app is not None and (app.name is None or library is None or app.name != library.name):
        draft.app_version = text(app.version)


def variants(draft: Any, context: Context, arrival: Arrival) -> None:
    """`experiment:variant` for each experiment the visitor is in."""
    experiments = context.experiments
    if experiments:
        pairs = tuple(experiments.items())[:_MOST_VARIANTS]
        try:
            draft.variants = _variant_texts(pairs)
        except TypeError:  # a value that is a list or an object cannot be a cache key
            draft.variants = _variant_texts.__wrapped__(pairs)


def robots(draft: Any, context: Context, arrival: Arrival) -> None:
    """Known bots are stored, never counted."""
    if draft.device == "bot":
        draft.bot = True


def session(draft: Any, context: Context, arrival: Arrival) -> None:
    """The client's own session id, as text."""
    if context.sessionId:
        draft.session_id = text(context.sessionId)


def excluded_addresses(draft: Any, context: Context, arrival: Arrival) -> None:
    """Events from the shop's own people and probes are kept but marked as tests."""
    networks = arrival.key.excluded_addresses
    if networks and address_in(context.ip or arrival.address, networks):
        draft.test = True


def opt_out(draft: Any, message: Message, arrival: Arrival) -> DropReason | None:
    """Do-Not-Track and Global Privacy Control, where the project honours them."""
    return "do_not_track" if arrival.opted_out else None


def test_mark(draft: Any, message: Message, arrival: Arrival) -> None:
    """Test events are stored, never counted."""
    if message.test or (message.properties and message.properties.get("test") is True):
        draft.test = True


def deny_list(draft: Any, message: Message, arrival: Arrival) -> None:
    """Properties that are never stored leave here, at any depth."""
    if message.properties:
        denied = _denied_names(arrival.key.property_deny_list)
        if _holds_denied(message.properties, denied, 0):
            message.properties = _without_denied(message.properties, denied, 0)


def commerce(draft: Any, message: Message, arrival: Arrival) -> None:
    """Money, order, cart lines, payment and shipping; the rest stays JSON."""
    if message.properties:
        rest = read_properties(draft, message.properties)
        if rest:
            draft.properties = msgspec.json.encode(rest).decode()


def pseudonyms(draft: Any, message: Message, arrival: Arrival) -> None:
    """Ids become keyed hashes. A session id that is only unique for its visitor gets the visitor in front."""
    salt, anonymous, user = arrival.key.salt, message.anonymousId, message.userId
    if user is not None and user != "":
        draft.user_id = draft.visitor_id = privacy.pseudonym(salt, str(user))
    if anonymous is not None and anonymous != "":
        draft.visitor_id = privacy.pseudonym(salt, str(anonymous))
    stated = draft.session_id
    if stated and (len(stated) < 16 or stated.isdecimal()):
        draft.session_id = f"{draft.visitor_id}.{stated}"


def scrub(draft: Any, message: Message, arrival: Arrival) -> None:
    """Cards, e-mails and phone numbers leave free text, queries the addresses."""
    if draft.properties != "{}":
        draft.properties = privacy.scrub_json(draft.properties)
    draft.name = text(draft.name)


#: These read the context only, so their result holds for every message of the request with the same one.
CONTEXT_STEPS: tuple[tuple[str, ContextStep], ...] = tuple(
    (step.__name__, step)
    for step in (
        channel, consent, user_agent, geography, page, origin, app_version, variants, session, robots, excluded_addresses,
    )
)  # fmt: skip

STEPS: tuple[tuple[str, Step], ...] = tuple(
    (step.__name__, step) for step in (opt_out, test_mark, deny_list, commerce, pseudonyms, scrub)
)


def _place(draft: Any, country: str, region: str) -> None:
    """What a better source says. Where it names no region, one found so far stays if it is of the same country."""
    if region or country != draft.country:
        draft.region = region
    draft.country = country


@lru_cache(maxsize=1000)
def _library_channel(library: str) -> str:
    return next((channel for prefix, channel in vocabulary.LIBRARY_CHANNELS if library.startswith(prefix)), "browser")


@lru_cache(maxsize=1_000)
def _variant_texts(pairs: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
    return tuple(f"{text(name)}:{text(value)}" for name, value in pairs)


@lru_cache(maxsize=1000)
def _denied_names(of_project: frozenset[str]) -> frozenset[str]:
    return privacy.ALWAYS_DENIED | of_project


def _holds_denied(value: Any, denied: frozenset[str], depth: int) -> bool:
    """Whether anything has to go: nearly never, so the common event is not copied."""
    if depth == _MOST_DEPTH:
        return True
    if value.__class__ is dict:
        if not denied.isdisjoint(map(str.lower, value)):
            return True
        value = value.values()
    for inner in value:
        if (inner.__class__ is dict or inner.__class__ is list) and _holds_denied(inner, denied, depth + 1):
            return True
    return False


def _without_denied(value: Any, denied: frozenset[str], depth: int) -> Any:
    if depth == _MOST_DEPTH:
        return None
    if value.__class__ is dict:
        return {name: _without_denied(inner, denied, depth + 1) for name, inner in value.items() if name.lower() not in denied}
    if value.__class__ is list:
        return [_without_denied(inner, denied, depth + 1) for inner in value]
    return value
