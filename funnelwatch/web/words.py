"""What things are called: steps, causes, statuses, detectors. The one place where a code becomes a word."""

from funnelwatch.core.cohort import Cohort
from funnelwatch.incidents.words import STEPS as STEPS
from funnelwatch.incidents.words import humanise as humanise
from funnelwatch.incidents.words import likelihood as likelihood
from funnelwatch.incidents.words import step as step
from funnelwatch.incidents.words import step_range as step_range

DIMENSIONS = {
    "device": "Device", "os": "OS", "os_version": "OS version", "browser": "Browser", "browser_version": "Browser version",
    "country": "Country", "region": "Region", "source": "Source", "medium": "Medium", "campaign": "Campaign",
    "app_version": "App version", "consent": "Consent", "landing_page": "Landing page", "new_or_returning": "New or returning",
    "payment_provider": "Payment provider", "payment_method": "Payment method", "shipping_method": "Shipping method",
    "coupon": "Coupon", "stock_state": "Stock", "currency": "Currency", "sku": "SKU", "category": "Category", "variant": "Variant",
}  # fmt: skip

#: Shape and colour class of a kind of change, as the design's glyphs have it; anything else is drawn as a third party.
GLYPHS = {
    "deploy": "deploy", "config": "config", "cdn": "config", "campaign": "campaign", "holiday": "campaign",
    "feature_flag": "flag", "experiment": "flag", "promo": "catalog", "price": "catalog", "stock": "catalog",
    "third_party": "third", "payment_provider": "third",
}  # fmt: skip

KINDS = {
    "deploy": "Deploy", "config": "Config", "cdn": "CDN", "campaign": "Campaign", "feature_flag": "Flag",
    "experiment": "Experiment", "promo": "Promotion", "price": "Price", "stock": "Stock", "third_party": "Third party",
    "payment_provider": "Payment provider", "holiday": "Holiday", "unknown": "Unknown", "bot": "Bot traffic",
    "late_data": "Late data",
}  # fmt: skip

#: (css class, word) of an incident's status.
STATUSES = {
    "open": ("open", "Open"),
    "acknowledged": ("ack", "Acknowledged"),
    "mitigated": ("recovering", "Recovering"),
    "resolved": ("resolved", "Resolved"),
    "expected": ("expected", "Expected event"),
    "false_alarm": ("false", "False alarm"),
}

VERDICTS = {"real": "Real problem", "false_alarm": "False alarm", "expected": "Expected event"}

#: (css class, icon) of a severity.
SEVERITIES = {"critical": ("critical", "octagon"), "high": ("major", "triangle"), "medium": ("minor", "dot"), "low": ("minor", "dot")}

#: (css class, icon) of a timeline entry's kind; a person's entries show an avatar instead.
TIMELINE = {
    "onset": ("is-bad", "down"), "detected": ("is-sys", "bolt"), "localised": ("is-sys", "target"),
    "cause_ranked": ("is-sys", "changes"), "alert_sent": ("is-sys", "hash"), "action_requested": ("is-wait", "pause"),
    "executed": ("is-sys", "undo"), "verified": ("is-sys", "check"), "recovering": ("is-good", "right"),
    "resolved": ("is-good", "check"),
}  # fmt: skip

TIMELINE_TITLES = {
    "onset": "It begins", "detected": "Detected", "localised": "Cohort localised", "cause_ranked": "Cause ranked",
    "alert_sent": "Alert sent", "acknowledged": "Acknowledged", "comment": "Note", "action_requested": "Action requested",
    "approved": "Approved", "executed": "Executed", "verified": "Verified", "recovering": "Recovering", "resolved": "Resolved",
    "feedback": "Feedback", "assigned": "Assigned",
}  # fmt: skip

DETECTORS = {
    "rate_cusum": "Delay-aware CUSUM", "glr": "Generalised likelihood ratio", "ewma": "EWMA control chart", "changepoint": "Changepoint dating",
    "prophet_band": "Prophet interval",
}  # fmt: skip

REASONS = {
    "invalid_json": "not readable as JSON", "not_an_object": "not a JSON object", "invalid_type": "unknown message type",
    "missing_event": "no event name", "missing_identity": "neither anonymousId nor userId", "too_large": "larger than allowed",
    "invalid_value": "a field has a wrong type or value", "do_not_track": "the visitor asked not to be tracked",
    "no_consent": "no consent", "poison": "could not be stored", "origin_not_allowed": "sent from an origin the key is not for",
    "invalid_batch": "not a batch of events", "invalid_body": "not a body of the Measurement Protocol",
    "rate_limited": "faster than the project may send", "not_found": "no such address",
}  # fmt: skip


#: What somebody did instead of the next step; other events by their name.
_NEXT = {
    "": "Left the shop", "page_view": "Looked at another page", "view_item_list": "Looked at a list", "view_item": "Looked at a product",
    "search": "Searched", "add_to_cart": "Put something in the cart", "remove_from_cart": "Took something out", "view_cart": "Went to the cart",
    "begin_checkout": "Began the checkout", "add_shipping_info": "Chose a shipping method", "add_payment_info": "Gave payment details",
    "purchase": "Ordered", "payment_failed": "Saw a payment error", "exception": "Met a script error", "http_error": "Met a failed request",
    "resource_error": "Met a failed resource", "out_of_stock": "Found it sold out", "coupon_rejected": "Had a coupon refused",
    "login": "Signed in", "sign_up": "Signed up",
}  # fmt: skip


def next_event(event: str, error_code: str) -> str:
    """What somebody did who went no further: `payment_failed`, `card_declined` -> Saw a payment error: card declined."""
    said = _NEXT.get(event) or humanise(event)
    return f"{said}: {error_code.replace('_', ' ')}" if error_code else said


def cohort(rows: list[dict[str, str]]) -> str:
    """How people read a cohort; `everyone` when empty."""
    return Cohort.from_json(rows).label()


def match(weight: float) -> tuple[str, str]:
    """(chip class, word) for the strength of evidence: a factor of 3 in the odds is strong, of 1.2 partial."""
    if weight >= 1.1:
        return "chip--bad", "strong"
    return ("chip--warn", "partial") if weight >= 0.18 else ("", "none")
