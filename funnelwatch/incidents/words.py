"""How an incident is said: the same words on the page, in Slack and in PagerDuty."""

from funnelwatch.core.signals import Anomaly

STEPS = {
    "page_view": "Visit", "view_item_list": "List", "view_item": "Product", "add_to_cart": "Cart", "view_cart": "Cart page",
    "remove_from_cart": "Removal", "begin_checkout": "Checkout", "add_shipping_info": "Shipping", "add_payment_info": "Payment",
    "purchase": "Order", "sign_up": "Sign-up",
}  # fmt: skip

_ERRORS = {
    "payment_failed": "Failed payments", "exception": "Script errors", "out_of_stock": "Sold-out items",
    "coupon_rejected": "Rejected coupons", "http_error": "Failed requests", "resource_error": "Failed resources",
}  # fmt: skip


def step(name: str) -> str:
    """`add_payment_info` -> Payment; a custom name as words."""
    return STEPS.get(name) or humanise(name)


def step_range(text: str) -> str:
    """`add_payment_info->purchase` -> Payment → order."""
    first, *rest = (step(name) for name in text.split("->"))
    return " → ".join([first, *(word[:1].lower() + word[1:] for word in rest)])


def humanise(code: str) -> str:
    """`my_custom_step` -> My custom step."""
    text = code.replace("_", " ").replace(":", " ").strip()
    return text[:1].upper() + text[1:]


def likelihood(probability: float) -> str:
    """The word that stands beside a cause's probability."""
    for at_least, word in ((0.8, "very likely"), (0.5, "likely"), (0.2, "possible"), (0.05, "unlikely")):
        if probability >= at_least:
            return word
    return "very unlikely"


def percent(share: float) -> str:
    """`18 %` as titles have it: whole numbers from 1 % on, one decimal below; never a minus sign."""
    number = abs(share) * 100
    return f"{number:.0f} %" if number >= 1 else f"{number:.1f} %"


def change(effect: float) -> str:
    """`fell 18 %`, `rose 40 %`; a rise to more than three times is `rose 4.2-fold`."""
    if effect > 2:
        return f"rose {1 + effect:.1f}-fold"
    return f"{'fell' if effect < 0 else 'rose'} {percent(effect)}"


def title(anomaly: Anomaly, step_text: str, cohort: str, adjacent: bool) -> str:
    """The headline: what moved, how much, for whom.

    `step_text` is `from->to`, named by its start when the two are `adjacent` in the funnel ("Payment conversion"), else as a
    range. `cohort` is a label; `everyone` reads `all shoppers`.
    """
    whom = "all shoppers" if cohort == "everyone" else cohort
    moved = change(anomaly.effect)
    start, event = step(step_text.partition("->")[0]), step_text.rpartition("->")[2].replace("_", " ")
    what = start if adjacent else step_range(step_text)
    match anomaly.kind:
        case "silence":
            return f"No {event} events arrive from {whom}"
        case "tracking":
            return f"{humanise(event)} events lost {percent(anomaly.effect)} on the way for {whom}"
        case "volume":
            return f"{'Traffic' if start == STEPS['page_view'] else start + ' volume'} {moved} for {whom}"
        case "error":
            return f"{_ERRORS.get(anomaly.key.error) or humanise(anomaly.key.error or 'errors')} {moved} for {whom}"
        case "revenue":
            return f"Revenue {moved} for {whom}"
        case "latency":
            return f"Waiting time at {start.lower()} {moved} for {whom}"
        case "mix":
            return f"{what} conversion {moved} through a change of traffic mix for {whom}"
        case "bot":
            return f"Automated traffic moved {what.lower()} conversion of {whom}"
        case "late_data":
            return f"Data of {whom} arrives late"
        case _:
            return f"{what} conversion {moved} for {whom}"
