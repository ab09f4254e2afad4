"""The one vocabulary: canonical event names, dimensions and closed sets. GA4's recommended e-commerce names are the base."""

from typing import Literal, get_args

CANONICAL_EVENTS = (
    "page_view", "view_item_list", "view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout",
    "add_shipping_info", "add_payment_info", "purchase", "refund", "search", "login", "sign_up",
    "exception", "web_vital", "payment_failed", "out_of_stock", "coupon_rejected", "http_error", "resource_error",
)  # fmt: skip

DEFAULT_FUNNEL_STEPS = (
    "page_view", "view_item", "add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase",
)  # fmt: skip

#: Dimensions with one value for a whole session: the first non-empty one in event-time order.
SESSION_DIMENSIONS = (
    "device", "os", "os_version", "browser", "browser_version", "country", "region",
    "source", "medium", "campaign", "app_version", "consent", "landing_page", "new_or_returning",
)  # fmt: skip

#: Dimensions a shopper acquires on the way. At a step a session counts under the value it had by then.
STEP_DIMENSIONS = ("payment_provider", "payment_method", "shipping_method", "coupon", "stock_state", "currency")

#: Dimensions with several values a session: it counts once under each.
MULTI_DIMENSIONS = ("sku", "category", "variant")

DIMENSIONS = SESSION_DIMENSIONS + STEP_DIMENSIONS + MULTI_DIMENSIONS

#: Events that are trouble in themselves; rare-to-common counts carry 3 to 11 times a rate's information.
ERROR_EVENTS = ("exception", "payment_failed", "out_of_stock", "coupon_rejected", "http_error", "resource_error")

DropReason = Literal[
    "invalid_json", "not_an_object", "invalid_type", "missing_event", "missing_identity", "too_large", "invalid_value",
    "do_not_track", "no_consent", "poison",
]  # fmt: skip
DROP_REASONS: tuple[str, ...] = get_args(DropReason)

ChangeKind = Literal[
    "deploy", "config", "cdn", "campaign", "feature_flag", "experiment", "promo", "price", "stock", "third_party",
    "payment_provider", "holiday",
]  # fmt: skip
CHANGE_KINDS: tuple[str, ...] = get_args(ChangeKind)

IncidentKind = Literal[
    "rate", "mix", "volume", "tracking", "revenue", "error", "latency", "bot", "late_data", "silence"
]
INCIDENT_KINDS: tuple[str, ...] = get_args(IncidentKind)

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[str, ...] = get_args(Severity)

IncidentStatus = Literal["open", "acknowledged", "mitigated", "resolved", "expected", "false_alarm"]
INCIDENT_STATUSES: tuple[str, ...] = get_args(IncidentStatus)
