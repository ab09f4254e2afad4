"""How an incident is said: the same sentence on the page, in Slack and in PagerDuty."""

from funnelwatch.core.signals import Anomaly

#: What people call the step that an event reaches.
STEP_NAMES = {
    "page_view": "Landing",
    "view_item_list": "Listing",
    "view_item": "Product view",
    "add_to_cart": "Cart",
    "view_cart": "Cart view",
    "begin_checkout": "Checkout",
    "add_shipping_info": "Shipping",
    "add_payment_info": "Payment details",
    "purchase": "Payment",
}
_ERROR_NAMES = {
    "payment_failed": "Failed payments",
    "exception": "Script errors",
    "out_of_stock": "Sold-out items",
    "coupon_rejected": "Rejected coupons",
    "http_error": "Failed requests",
    "resource_error": "Failed resources",
}
#: Lower ends of the likelihood words; the number is always said beside the word.
_LIKELIHOODS = ((0.8, "very likely"), (0.5, "likely"), (0.2, "possible"), (0.05, "unlikely"), (0.0, "ruled out"))


def step_name(event: str) -> str:
    """`Payment details` for `add_payment_info`; a custom name with its underscores as spaces."""
    return STEP_NAMES.get(event) or event.replace("_", " ").capitalize()


def step_label(step: str) -> str:
    """`Payment` for `add_payment_info->purchase`, `Checkout → payment` for `begin_checkout->purchase`."""
    start, _, end = step.partition("->")
    if not end:
        return step_name(start)
    if (start, end) == ("add_payment_info", "purchase"):
        return step_name(end)
    return f"{step_name(start)} → {_lower_first(step_name(end))}"


def likelihood(probability: float) -> str:
    """`very likely` down to `ruled out`."""
    return next(word for floor, word in _LIKELIHOODS if probability >= floor)


def percent(share: float) -> str:
    """`18 %`: whole numbers from 1 % on, one decimal below; never a minus sign."""
    number = abs(share) * 100
    return f"{number:.0f} %" if number >= 1 else f"{number:.1f} %"


def change(effect: float) -> str:
    """`fell 18 %`, `rose 40 %`; a rise to more than three times is `rose 4.2-fold`."""
    if effect > 2:
        return f"rose {1 + effect:.1f}-fold"
    return f"{'fell' if effect < 0 else 'rose'} {percent(effect)}"


def title(anomaly: Anomaly, step: str, cohort: str) -> str:
    """The headline: what moved, how much, for whom. `cohort` is a label; `everyone` reads `all shoppers`."""
    whom = "all shoppers" if cohort == "everyone" else cohort
    end = step_name(step.rpartition("->")[2])
    event = step.rpartition("->")[2].replace("_", " ")
    moved = change(anomaly.effect)
    start = step_name(step.partition("->")[0])
    match anomaly.kind:
        case "silence":
            return f"No {event} events arrive from {whom}"
        case "tracking":
            return f"{event.capitalize()} events lost {percent(anomaly.effect)} on the way for {whom}"
        case "volume":
            return f"{'Traffic' if start == STEP_NAMES['page_view'] else start + ' volume'} {moved} for {whom}"
        case "error":
            return f"{_ERROR_NAMES.get(anomaly.key.error, step_name(anomaly.key.error or 'errors'))} {moved} for {whom}"
        case "revenue":
            return f"Revenue {moved} for {whom}"
        case "latency":
            return f"Waiting time at {_lower_first(end)} {moved} for {whom}"
        case "mix":
            return f"{step_label(step)} conversion {moved} through a change of traffic mix for {whom}"
        case "bot":
            return f"Automated traffic moved {_lower_first(step_label(step))} conversion of {whom}"
        case "late_data":
            return f"Data of {whom} arrives late"
        case _:
            return f"{step_label(step)} conversion {moved} for {whom}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
