"""Amounts as shops write them: 1234.5, "1,234.50", "1.234,50 €", "1 234,50", "CHF 1'234.50"."""

import re
from functools import lru_cache
from typing import Any

_MOST_NUMBER = 40  # characters of a number written as text
_MOST_AMOUNT = 1e12  # more than any order; keeps hostile exponents out of decimals

_GROUPING = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
_UNIT = r"(?:[^\W\d_]{1,3}\.?)?[$¢-¥฿\u20a0-\u20cf]?"
_WRITTEN = re.compile(rf"([-+−]?){_UNIT}([-+−]?)([\d.,]*\d(?:[eE][-+]?\d+)?)(?:[.,]-?)?{_UNIT}")
# The last separator is the decimal one. A lone point is that always, as in JSON; a lone comma before three digits groups thousands,
# because no currency of the countries that write a decimal comma has three decimals. "0,500" and "1234,500" are not groups of thousands.
_POINT = re.compile(r"(?!0,)\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?|\d*\.?\d+(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}|\d*,\d+")


def amount(value: Any) -> str | None:
    """Decimal text of an amount, as sent; None when it is none, or can be read in two ways that differ."""
    kind = value.__class__
    if kind is str and len(value) > _MOST_NUMBER:
        return None
    return _amount(value) if kind is float or kind is int or kind is str else None


@lru_cache(maxsize=32_768, typed=True)
def _amount(value: float | str) -> str | None:
    # Cached: a catalogue has few prices.
    number = _number(value) if isinstance(value, str) else value
    if number is None or not abs(number) < _MOST_AMOUNT:  # also when it is no number at all
        return None
    written = repr(number)
    return written if "e" not in written else f"{number:.4f}"


def _number(text: str) -> float | None:
    parts = _GROUPING.sub("", text).split()
    if any(before[-1].isdecimal() and after[0].isdecimal() for before, after in zip(parts, parts[1:], strict=False)):
        return None
    written = _WRITTEN.fullmatch("".join(parts))
    if written is None or (written[1] and written[2]):
        return None
    number = written[3]
    if _POINT.fullmatch(number):
        number = number.replace(",", "")
    elif _COMMA.fullmatch(number):
        number = number.replace(".", "").replace(",", ".")
    else:
        return None
    return -float(number) if "-" in (written[1] + written[2]).replace("−", "-") else float(number)
