"""How long a shop's data is kept. A few tiers, because each has partitions of its own in every table."""

TIERS = (30, 90, 180, 400, 800, 1_825)
DEFAULT = 400
#: What is imported already older than its shop's tier stays until it is erased: 40 years, as a DateTime, which a TTL is, ends in 2106.
IMPORTED = 14_600
