"""What a visitor agreed to, in the shapes clients send it: a word, yes or no, or a choice for each category."""

from collections.abc import Mapping
from typing import Any

from funnelwatch.ingest.commerce import text

_GRANTED = frozenset(("granted", "accepted", "allowed", "agreed", "given", "yes", "true", "1", "on", "opt_in", "opt-in", "opted_in", "opted-in"))
_DENIED = frozenset((
    "denied", "declined", "rejected", "refused", "revoked", "withdrawn", "no", "none", "false", "0", "off", "opt_out", "opt-out", "opted_out", "opted-out",
))  # fmt: skip
#: Parts of the names of categories; OneTrust numbers them.
_ANALYTICS = ("analytic", "statistic", "performance", "measure", "c0002")
_NECESSARY = ("necessary", "essential", "required", "c0001")  # nobody is asked about these


def consent_state(given: str | bool | Mapping[str, Any] | None, managed: Mapping[str, Any] | None) -> str:
    """`granted`, `denied`, a word of the client's own, or nothing.

    `given` is `context.consent` with Segment's `categoryPreferences`, or without; `managed` is RudderStack's `context.consentManagement`.
    """
    if isinstance(given, Mapping):
        choices = given.get("categoryPreferences", given)
        said = _of_categories(choices) if isinstance(choices, Mapping) else ""
    else:
        said = _word(given)
    if said or managed is None:
        return said
    allowed, denied = (_names(managed.get(key)) for key in ("allowedConsentIds", "deniedConsentIds"))
    return _of_categories(dict.fromkeys(allowed, True) | dict.fromkeys(denied, False))


def _word(given: Any) -> str:
    word = text(given).lower()
    return "granted" if word in _GRANTED else "denied" if word in _DENIED else word


def _of_categories(choices: Mapping[str, Any]) -> str:
    """The choice about analytics; where no category is called that, whether anything was agreed to that needs to be asked."""
    if not choices:
        return ""
    granted = {name.lower(): _word(choice) == "granted" for name, choice in choices.items()}
    for name, choice in granted.items():
        if any(part in name for part in _ANALYTICS):
            return "granted" if choice else "denied"
    asked = [choice for name, choice in granted.items() if not any(part in name for part in _NECESSARY)]
    return "granted" if any(asked) else "denied"


def _names(given: Any) -> list[str]:
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
