"""What a shop is: its catalogue, its visitors, how they come, how they buy. Two shops to watch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from funnelwatch.core.vocabulary import DEFAULT_FUNNEL_STEPS

STEPS = DEFAULT_FUNNEL_STEPS


@dataclass(frozen=True)
class Product:
    """One SKU. `popularity` is relative within the shop."""

    sku: str
    name: str
    category: str
    price: float
    popularity: float

    @property
    def path(self) -> str:
        """The product page's path."""
        return f"/products/{self.sku.lower()}"


@dataclass(frozen=True)
class Channel:
    """Where visitors come from. `share` is of all sessions; `hours` gives 24 relative rates by local hour.

    `intent` is added to the logit of the steps from product page to checkout. A channel that lands on a product page shows
    the product at once. `campaign` empty means organic: only the referrer tells.
    """

    name: str
    share: float
    hours: tuple[float, ...]
    audience: str
    source: str = "(direct)"
    medium: str = "(none)"
    campaign: str = ""
    referrer: str = ""
    lands_on: str = "home"  # home | product | category
    intent: float = 0.0
    returning: float = 0.35
    coupon: str = ""
    coupon_share: float = 0.0


@dataclass(frozen=True)
class Shop:
    """A storefront. Shares in the mappings are relative weights; times are seconds, money is in `currency`."""

    name: str
    url: str
    timezone: str
    currency: str
    products: tuple[Product, ...]
    channels: tuple[Channel, ...]
    audiences: Mapping[str, Mapping[str, float]]  # audience -> agent name -> weight
    places: Mapping[tuple[str, str], float]  # (country, region) -> weight
    rates: tuple[float, float, float, float, float]  # page_view->view_item ... add_shipping_info->add_payment_info
    payment_methods: Mapping[str, float]
    payment_providers: Mapping[str, float]
    shipping_methods: Mapping[str, float]
    experiments: Mapping[str, tuple[str, ...]]
    first_version: str
    week: tuple[float, ...] = (0.96, 0.94, 0.95, 0.97, 1.02, 1.10, 1.06)  # Monday first
    delays: tuple[float, ...] = (14.0, 40.0, 55.0, 45.0, 28.0, 32.0)  # medians of the log-normal time to the next step
    spreads: tuple[float, ...] = (0.9, 0.9, 1.0, 0.7, 0.6, 0.6)  # their sigmas
    browse: float = 0.35  # further products looked at before the cart, on average
    second_item: float = 0.18  # share of carts with two products
    payment_failure: float = 0.07  # share of attempts declined on an ordinary day
    payment_abandon: float = 0.08  # share of attempts the shopper walks away from
    retry: float = 0.65  # share of the declined who try again
    server_orders: float = 1.0  # share of orders that the shop's server reports too
    volume_noise: float = 0.06  # slow relative noise of traffic
    rate_noise: float = 0.04  # slow noise of the step rates, logit scale
    minute_noise: float = 0.04  # relative noise of traffic from minute to minute
    agent_intent: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The distinct categories, in catalogue order."""
        return tuple(dict.fromkeys(product.category for product in self.products))

    def landing_path(self, channel: Channel, product: int, category: int) -> str:
        """Path of the page a visitor of `channel` sees first; the indices say which product or category that would be."""
        if channel.lands_on == "product":
            return self.products[product].path
        return f"/collections/{self.categories[category]}" if channel.lands_on == "category" else "/"


EVENING = (0.9, 0.45, 0.2, 0.1, 0.1, 0.15, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.9, 0.9, 0.8, 0.8, 0.95, 1.3, 2.0, 2.7, 3.0, 2.9, 2.3, 1.5)
DAYTIME = (0.35, 0.2, 0.12, 0.1, 0.12, 0.25, 0.5, 0.8, 1.1, 1.3, 1.4, 1.4, 1.35, 1.3, 1.3, 1.3, 1.35, 1.4, 1.5, 1.7, 1.8, 1.6, 1.1, 0.65)
FLAT = (1.0,) * 24

#: Rates of crawlers and other visitors who never buy: this far down the logit scale nothing passes.
NEVER = -60.0

_FASHION = {
    "kurtas": (1290, "Kurta"), "sarees": (3490, "Saree"), "dresses": (1890, "Dress"), "shirts": (1190, "Shirt"),
    "earrings": (690, "Earrings"), "footwear": (1590, "Juttis"), "bags": (1390, "Tote"), "dupattas": (790, "Dupatta"),
}  # fmt: skip
_HOME = {
    "lamps": (79, "Lamp"), "chairs": (149, "Chair"), "rugs": (119, "Rug"), "mugs": (14, "Mug"),
    "bedding": (89, "Duvet"), "frames": (24, "Frame"), "plants": (29, "Planter"), "candles": (19, "Candle"),
}  # fmt: skip
_MAKERS = ("Indigo", "Marigold", "Monsoon", "Saffron", "Teal")


def _catalogue(prefix: str, kinds: Mapping[str, tuple[float, str]]) -> tuple[Product, ...]:
    """Five makes of each kind; popularity falls as the inverse of the rank, as sales in shops do."""
    products = []
    for maker_rank, maker in enumerate(_MAKERS):
        for kind_rank, (category, (price, noun)) in enumerate(kinds.items()):
            rank = maker_rank * len(kinds) + kind_rank
            products.append(
                Product(
                    sku=f"{prefix}-{1000 + rank * 37}",
                    name=f"{maker} {noun}",
                    category=category,
                    price=round(price * (1 + 0.12 * maker_rank), 2),
                    popularity=1 / (rank + 4),
                )
            )
    return tuple(products)


#: A brand that sells through Instagram: most visitors come to buy, most of them on an iPhone, most of them in the evening.
HIGH_INTENT = Shop(
    name="Noor & Loom",
    url="https://noorandloom.example",
    timezone="Asia/Kolkata",
    currency="INR",
    products=_catalogue("NL", _FASHION),
    channels=(
        Channel(
            "ig_sale", 0.70, EVENING, "instagram", "instagram", "paid_social", "ig_sale", "https://l.instagram.com/",
            lands_on="product", intent=0.35, returning=0.30, coupon="IGSALE20", coupon_share=0.35,
        ),
        Channel("direct", 0.09, DAYTIME, "general", intent=0.3, returning=0.65),
        Channel("google_organic", 0.08, DAYTIME, "general", "google", "organic", referrer="https://www.google.com/"),
        Channel(
            "google_ads", 0.04, DAYTIME, "general", "google", "cpc", "brand_search", "https://www.google.com/",
            lands_on="category",
        ),
        Channel(
            "newsletter", 0.04, DAYTIME, "general", "newsletter", "email", "weekly_edit", intent=0.3, returning=0.8,
            lands_on="category", coupon="WELCOME10", coupon_share=0.25,
        ),
        Channel(
            "instagram_organic", 0.03, EVENING, "instagram", "instagram", "social", referrer="https://l.instagram.com/",
            lands_on="product",
        ),
        Channel("crawlers", 0.02, FLAT, "crawlers", intent=NEVER, returning=0.0),
    ),
    audiences={
        "instagram": {
            "ios18_safari": 50, "ios26_safari": 22, "ios17_safari": 8, "ios_instagram": 3, "ios_chrome": 3,
            "android_chrome": 9, "android_chrome_old": 2, "android_samsung": 2, "windows_chrome": 1,
        },
        "general": {
            "ios18_safari": 20, "ios26_safari": 9, "ios17_safari": 3, "ios_chrome": 4, "android_chrome": 22,
            "android_chrome_old": 5, "android_samsung": 7, "android_tablet": 2, "windows_chrome": 13, "mac_chrome": 5,
            "mac_safari": 5, "windows_edge": 3, "windows_firefox": 2,
        },
        "crawlers": {"googlebot": 3, "ahrefsbot": 1},
        "scrapers": {"windows_chrome": 1},
    },
    places={
        ("IN", "MH"): 24, ("IN", "DL"): 17, ("IN", "KA"): 15, ("IN", "TN"): 9, ("IN", "TG"): 8, ("IN", "GJ"): 7,
        ("IN", "WB"): 6, ("IN", "UP"): 6, ("AE", "DU"): 3, ("US", "CA"): 2, ("GB", "LND"): 2, ("SG", "01"): 1,
    },
    rates=(0.93, 0.74, 0.82, 0.92, 0.93),
    payment_methods={"upi": 52, "card": 33, "netbanking": 8, "wallet": 7},
    payment_providers={"razorpay": 62, "payu": 26, "stripe": 12},
    shipping_methods={"standard": 74, "express": 20, "store_pickup": 6},
    experiments={"checkout_layout": ("control", "one_page"), "size_guide": ("control", "inline")},
    first_version="5.17.0",
    agent_intent={"windows_chrome": 0.1, "mac_safari": 0.1, "android_chrome_old": -0.15, "android_samsung": -0.1},
)  # fmt: skip

#: An ordinary shop: two in a hundred buy, several sources, desktop and phones alike.
STOREFRONT = Shop(
    name="Haus & Hof",
    url="https://hausundhof.example",
    timezone="Europe/Berlin",
    currency="EUR",
    products=_catalogue("HH", _HOME),
    channels=(
        Channel("google_organic", 0.30, DAYTIME, "general", "google", "organic", referrer="https://www.google.com/"),
        Channel("direct", 0.22, DAYTIME, "general", intent=0.3, returning=0.6),
        Channel(
            "google_ads", 0.18, DAYTIME, "general", "google", "cpc", "shopping_de", "https://www.google.com/",
            lands_on="product", returning=0.2,
        ),
        Channel(
            "meta_ads", 0.14, EVENING, "social", "facebook", "paid_social", "autumn_rooms",
            "https://l.facebook.com/", lands_on="category", intent=-0.4, returning=0.15,
        ),
        Channel(
            "newsletter", 0.10, DAYTIME, "general", "newsletter", "email", "sunday_letter", intent=0.4, returning=0.85,
            lands_on="category", coupon="HALLO10", coupon_share=0.3,
        ),
        Channel("crawlers", 0.06, FLAT, "crawlers", intent=NEVER, returning=0.0),
    ),
    audiences={
        "general": {
            "windows_chrome": 22, "mac_chrome": 7, "mac_safari": 8, "windows_edge": 8, "windows_firefox": 7,
            "ios18_safari": 17, "ios26_safari": 6, "ios17_safari": 3, "android_chrome": 14, "android_chrome_old": 3,
            "android_samsung": 4, "android_tablet": 2,
        },
        "social": {
            "ios18_safari": 38, "ios26_safari": 14, "ios_instagram": 8, "android_chrome": 26, "android_samsung": 11,
            "windows_chrome": 3,
        },
        "crawlers": {"googlebot": 3, "ahrefsbot": 1},
        "scrapers": {"windows_chrome": 1},
    },
    places={
        ("DE", "NW"): 21, ("DE", "BY"): 15, ("DE", "BW"): 13, ("DE", "BE"): 10, ("DE", "HE"): 8, ("DE", "HH"): 6,
        ("AT", "9"): 8, ("CH", "ZH"): 7, ("NL", "NH"): 7, ("FR", "IDF"): 5,
    },
    rates=(0.62, 0.22, 0.48, 0.80, 0.86),
    payment_methods={"paypal": 42, "card": 30, "klarna": 20, "sepa": 8},
    payment_providers={"adyen": 58, "paypal": 42},
    shipping_methods={"standard": 82, "express": 12, "pickup_point": 6},
    experiments={"checkout_layout": ("control", "one_page")},
    first_version="12.3.0",
    browse=0.9,
    agent_intent={"ios17_safari": -0.1, "android_chrome_old": -0.2, "windows_chrome": 0.15, "mac_safari": 0.2},
)  # fmt: skip
