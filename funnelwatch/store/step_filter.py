"""When an event is a funnel's step, as a condition in SQL."""

from funnelwatch.core.funnel import PropertyFilter, Step
from funnelwatch.core.vocabulary import SESSION_DIMENSIONS, STEP_DIMENSIONS

_DERIVED = ("landing_page", "new_or_returning")
_COLUMNS_OF_EVENTS = frozenset(
    (*SESSION_DIMENSIONS, *STEP_DIMENSIONS, "name", "channel", "category", "page_path", "referrer", "order_id", "error_code", "library")
) - frozenset(_DERIVED)


def matches(step: Step, prefix: str, params: dict[str, object]) -> str:
    """The condition on a row of `events` that makes it an event of `step`; its values go into `params` under names with `prefix`."""
    params[prefix] = list(step.events)
    parts = [f"name IN {{{prefix}:Array(String)}}"]
    parts += [_filter(rule, f"{prefix}_{i}", params) for i, rule in enumerate(step.filters)]
    return " AND ".join(parts)


def _filter(rule: PropertyFilter, prefix: str, params: dict[str, object]) -> str:
    params[prefix] = list(rule.values)
    if rule.property in _COLUMNS_OF_EVENTS:
        test = f"{rule.property} IN {{{prefix}:Array(String)}}"
    elif rule.property == "sku":
        test = f"hasAny(item_sku, {{{prefix}:Array(String)}})"
    else:
        params[f"{prefix}_key"] = rule.property
        raw = f"JSONExtractRaw(properties, {{{prefix}_key:String}})"
        test = f"trim(BOTH '\"' FROM {raw}) IN {{{prefix}:Array(String)}}"
    return f"NOT ({test})" if rule.negate else test
