"""What each kind of change breaks: how an error seen in the broken cohort speaks for one kind of cause and against another."""

#: Relative likelihood of seeing an error class rise when a change of this kind is the culprit (1.0 = no opinion). Deploys,
#: CDN and config changes break anything; a promo breaks coupons; a campaign brings other people but breaks no code.
LIKELIHOOD: dict[str, dict[str, float]] = {
    "payment_failed": {
        "payment_provider": 4.0, "cdn": 3.0, "config": 3.0, "deploy": 3.0, "third_party": 3.0, "feature_flag": 2.0,
        "campaign": 0.3, "promo": 0.3, "price": 0.4, "stock": 0.2, "holiday": 0.2,
    },
    "exception": {
        "deploy": 4.0, "cdn": 3.0, "config": 2.5, "third_party": 3.0, "feature_flag": 3.0, "experiment": 3.0,
        "campaign": 0.3, "promo": 0.4, "price": 0.3, "stock": 0.2, "holiday": 0.2,
    },
    "http_error": {
        "deploy": 4.0, "cdn": 4.0, "config": 3.0, "third_party": 2.0, "payment_provider": 2.0, "campaign": 0.4,
        "promo": 0.4, "price": 0.4, "stock": 0.4, "holiday": 0.3,
    },
    "resource_error": {"cdn": 5.0, "third_party": 4.0, "deploy": 3.0, "config": 2.0, "campaign": 0.3, "promo": 0.3, "price": 0.2},
    "coupon_rejected": {"promo": 6.0, "price": 2.0, "deploy": 1.5, "config": 1.5, "campaign": 2.0, "cdn": 0.3, "stock": 0.2},
    "out_of_stock": {"stock": 6.0, "campaign": 1.5, "promo": 2.0, "deploy": 0.7, "cdn": 0.2, "payment_provider": 0.1},
}  # fmt: skip

#: Likelihood of a drop WITHOUT any rising error, by kind: a campaign or a price turns people away silently.
SILENT: dict[str, float] = {
    "campaign": 2.0, "price": 2.5, "promo": 1.5, "experiment": 1.5, "holiday": 2.0, "stock": 0.8, "deploy": 0.8,
    "cdn": 0.6, "config": 0.7, "third_party": 0.7, "payment_provider": 0.5, "feature_flag": 0.9,
}  # fmt: skip

#: Mean minutes from the change's start to its first effect. A release rolls out, a campaign warms up, a flag is at once.
MEAN_LAG: dict[str, float] = {
    "deploy": 8.0, "config": 5.0, "cdn": 6.0, "feature_flag": 4.0, "experiment": 10.0, "payment_provider": 4.0,
    "third_party": 6.0, "promo": 10.0, "price": 15.0, "stock": 15.0, "campaign": 25.0, "holiday": 120.0,
}  # fmt: skip

#: How often a change of this kind is the culprit at all, before looking at this incident. Published post-mortem shares put
#: code and configuration first; the figures are only tie-breakers.
GUILT: dict[str, float] = {
    "deploy": 1.5, "config": 1.4, "cdn": 1.2, "feature_flag": 1.2, "payment_provider": 1.2, "third_party": 1.0,
    "experiment": 0.8, "promo": 0.7, "price": 0.7, "stock": 0.7, "campaign": 0.5, "holiday": 0.3,
}  # fmt: skip
