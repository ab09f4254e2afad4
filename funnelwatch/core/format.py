"""Numbers, money and durations as people write them. A number and its unit never part: U+202F before %, U+00A0 before words."""

from datetime import timedelta
from decimal import Decimal

THIN = "\u202f"
NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
NONE = "\u2014"  # stands where there is no number

Number = int | float | Decimal

#: Currency signs that are read at home; other currencies are written with their code.
SIGNS = {
    "EUR": "€", "USD": "$", "GBP": "£", "INR": "₹", "JPY": "¥", "KRW": "₩", "BRL": "R$", "AUD": "A$", "CAD": "C$",
    "NGN": "₦", "ILS": "₪", "PHP": "₱", "VND": "₫", "TRY": "₺",
}  # fmt: skip


def group(value: Number, currency: str = "") -> str:
    """A whole number with separators: 12,34,567 where people count in lakh (INR), else 1,234,567."""
    digits = str(abs(round(value)))
    if currency == "INR" and len(digits) > 3:
        head, tail = digits[:-3], digits[-3:]
        pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
        text = ",".join([*reversed(pairs), tail])
    else:
        text = f"{int(digits):,}"
    return (MINUS if round(value) < 0 else "") + text


def money(value: Number | None, currency: str) -> str:
    """₹68,000, ₹3.4 lakh, ₹1.3 crore; €1,290, €1.2 million. Small amounts keep their cents."""
    if value is None:
        return NONE
    sign = SIGNS.get(currency, currency + NBSP)
    size = abs(float(value))
    steps = ((1e7, "crore", 2), (1e5, "lakh", 1)) if currency == "INR" else ((1e9, "billion", 2), (1e6, "million", 2))
    for unit, word, decimals in steps:
        if size >= unit:
            number = f"{size / unit:.{decimals}f}".rstrip("0").rstrip(".") + NBSP + word
            break
    else:
        number = f"{size:.2f}" if 0 < size < 10 and currency not in ("JPY", "KRW", "VND") else group(size, currency)
    return (MINUS if value < 0 else "") + sign + number


def percent(fraction: float | None, digits: int = 1) -> str:
    """0.621 -> 62.1 %. Never "−0.0"."""
    if fraction is None:
        return NONE
    return f"{plain(fraction * 100, digits)}{THIN}%"


def signed(value: float | None, digits: int = 1) -> str:
    """+1.4, −0.3, 0.0."""
    if value is None:
        return NONE
    text = plain(value, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def points(fraction: float | None, digits: int = 1) -> str:
    """A difference of rates in percentage points: −3.1 pp."""
    return NONE if fraction is None else f"{signed(fraction * 100, digits)}{NBSP}pp"


def value(number: float | None, metric: str, currency: str) -> str:
    """A measured value in the words of its metric (see payloads.py for the units)."""
    if number is None:
        return NONE
    if metric in ("conversion", "errors"):
        return percent(number)
    if metric == "revenue":
        return money(number, currency)
    if metric == "latency":
        return f"{number / 1000:.1f}{NBSP}s" if number >= 1000 else f"{number:.0f}{NBSP}ms"
    return group(number, currency) if number >= 10 else plain(number, 1)


def duration(span: timedelta | float | None) -> str:
    """Two units at most: 41 s, 3 min 40 s, 12 min, 1 h 34 min, 2 d 4 h. Seconds are dropped from 10 minutes on."""
    if span is None:
        return NONE
    seconds = round(span.total_seconds() if isinstance(span, timedelta) else span)
    if seconds < 60:
        return f"{max(0, seconds)}{NBSP}s"
    if seconds < 3600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes}{NBSP}min" + (f" {rest}{NBSP}s" if rest and minutes < 10 else "")
    if seconds < 86_400:
        hours, rest = divmod(seconds // 60, 60)
        return f"{hours}{NBSP}h" + (f" {rest}{NBSP}min" if rest else "")
    days, rest = divmod(seconds // 3600, 24)
    return f"{days}{NBSP}d" + (f" {rest}{NBSP}h" if rest else "")


def plain(number: float, digits: int) -> str:
    """A number with so many decimals and a true minus, never "−0.0"."""
    text = f"{number:.{digits}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return text.replace("-", MINUS)
