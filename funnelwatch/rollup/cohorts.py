"""Which cohorts a shop's funnel is cut by."""

from funnelwatch.core.vocabulary import DIMENSIONS

DimensionSet = tuple[str, ...]

EVERYONE: DimensionSet = ()

#: Combinations in which storefront faults usually show: a client platform, a campaign on it, a country's devices, a payment
#: provider in a browser.
DEFAULT_PAIRS: tuple[DimensionSet, ...] = (
    ("os", "browser"),
    ("browser", "campaign"),
    ("os", "campaign"),
    ("os", "browser", "campaign"),
    ("device", "country"),
    ("browser", "payment_provider"),
    ("country", "payment_provider"),
    ("app_version", "browser"),
)

#: Everyone, every dimension by itself, the usual combinations.
DEFAULT_SETS: tuple[DimensionSet, ...] = (EVERYONE, *((name,) for name in DIMENSIONS), *DEFAULT_PAIRS)

#: Values a set counts by name; a set with more is cut to its largest. What keeps a large shop near 2,000 cohorts a minute.
NAMED_VALUES = 100
#: A value of a cut set with less of the day's sessions is pooled too: nothing in it could be told from noise.
LEAST_SHARE = 0.0005
