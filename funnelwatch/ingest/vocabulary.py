"""The one mapping table: names and fields of Segment v2 e-commerce, GA4 and Shopify onto the canonical vocabulary.

Read it as: what arrives on the left, what is stored on the right. A name that is not here passes through untouched.
"""

from funnelwatch.core.vocabulary import CANONICAL_EVENTS

#: Lower-case event name -> canonical event.
EVENTS: dict[str, str] = {name: name for name in CANONICAL_EVENTS} | {
    # Segment v2 e-commerce                  # Shopify web pixel and others
    "loaded a page": "page_view",            "page_viewed": "page_view",
    "page viewed": "page_view",              "collection_viewed": "view_item_list",
    "product list viewed": "view_item_list", "product_viewed": "view_item",
    "product viewed": "view_item",           "search_submitted": "search",
    "products searched": "search",           "product_added_to_cart": "add_to_cart",
    "product added": "add_to_cart",          "product_removed_from_cart": "remove_from_cart",
    "product removed": "remove_from_cart",   "cart_viewed": "view_cart",
    "cart viewed": "view_cart",              "checkout_started": "begin_checkout",
    "checkout started": "begin_checkout",    "checkout_shipping_info_submitted": "add_shipping_info",
    "payment info entered": "add_payment_info", "payment_info_submitted": "add_payment_info",
    "order completed": "purchase",           "checkout_completed": "purchase",
    "order refunded": "refund",              "view_search_results": "search",
    "coupon denied": "coupon_rejected",      "signed up": "sign_up",
    "payment failed": "payment_failed",      "signed in": "login",
    "product out of stock": "out_of_stock",  "logged in": "login",
}  # fmt: skip

#: Message types other than `track` -> event. `page` and `screen` are views; the rest keep their own name.
TYPES: dict[str, str] = {
    "page": "page_view", "screen": "page_view", "identify": "identify", "group": "group", "alias": "alias",
}  # fmt: skip

#: Property -> (field of `Event`, rank). Where several are present the lowest rank wins (`value`, else `revenue`, else `total`).
PROPERTIES: dict[str, tuple[str, int]] = {
    "value": ("value", 0), "revenue": ("value", 1), "total": ("value", 2),
    "currency": ("currency", 0), "currency_code": ("currency", 1), "currencyCode": ("currency", 1),
    "order_id": ("order_id", 0), "transaction_id": ("order_id", 1), "orderId": ("order_id", 2),
    "category": ("category", 0), "item_category": ("category", 1),
    "coupon": ("coupon", 0), "coupon_id": ("coupon", 1), "coupon_name": ("coupon", 2),
    "payment_provider": ("payment_provider", 0), "payment_gateway": ("payment_provider", 1),
    "payment_method": ("payment_method", 0), "payment_type": ("payment_method", 1),
    "shipping_method": ("shipping_method", 0), "shipping_tier": ("shipping_method", 1),
    "stock_state": ("stock_state", 0), "availability": ("stock_state", 1), "stock_status": ("stock_state", 2),
    "code": ("error_code", 0), "error_code": ("error_code", 1), "reason": ("error_code", 2),
    "duration_ms": ("duration_ms", 0),
}  # fmt: skip

#: Properties that hold the lines of a cart or order.
ITEM_LISTS = ("items", "products", "line_items")

#: Fields of one line, the first present one counts. A name stands in where a line has no id at all.
ITEM_IDS = ("sku", "product_id", "item_id", "variant_id", "id")
ITEM_NAMES = ("item_name", "name")
ITEM_CATEGORY = ("category", "item_category")

#: A product in flat properties (Segment's `Product Viewed`) is one line when it carries one of these.
FLAT_ITEM_IDS = ("sku", "product_id", "item_id")

#: Segment's `Checkout Step Completed` by the number of its step in the usual three-step checkout.
CHECKOUT_STEPS = {1: "begin_checkout", 2: "add_shipping_info", 3: "add_payment_info"}

#: Client libraries -> channel, by the start of `context.library.name`.
LIBRARY_CHANNELS: tuple[tuple[str, str], ...] = (
    ("funnelwatch-python", "server"), ("@segment/analytics-node", "server"), ("analytics-node", "server"),
    ("analytics-python", "server"), ("analytics-ruby", "server"), ("analytics-php", "server"), ("analytics-go", "server"),
    ("analytics-java", "server"), ("Analytics.NET", "server"), ("rudder-sdk-node", "server"), ("rudder-analytics-python", "server"),
    ("analytics-ios", "mobile"), ("analytics-swift", "mobile"), ("analytics-android", "mobile"), ("analytics-kotlin", "mobile"),
    ("analytics-react-native", "mobile"), ("@segment/analytics-react-native", "mobile"), ("analytics_flutter", "mobile"),
    ("rudder-ios-library", "mobile"), ("com.rudderstack.android", "mobile"),
)  # fmt: skip

#: Query parameter an advertising network puts on a landing URL -> (source, medium).
CLICK_IDS: dict[str, tuple[str, str]] = {
    "gclid": ("google", "cpc"), "gbraid": ("google", "cpc"), "wbraid": ("google", "cpc"), "dclid": ("google", "display"),
    "msclkid": ("bing", "cpc"), "ttclid": ("tiktok", "cpc"), "twclid": ("twitter", "cpc"), "li_fat_id": ("linkedin", "cpc"),
    "rdt_cid": ("reddit", "cpc"), "ScCid": ("snapchat", "cpc"), "yclid": ("yandex", "cpc"),
    "fbclid": ("facebook", "social"), "igshid": ("instagram", "social"), "epik": ("pinterest", "social"),
}  # fmt: skip

#: A label of the referring host -> what it is.
SEARCH_ENGINES = frozenset(("google", "bing", "yahoo", "duckduckgo", "baidu", "yandex", "ecosia", "naver", "qwant"))
SOCIAL_HOSTS: dict[str, str] = {
    "facebook": "facebook", "instagram": "instagram", "tiktok": "tiktok", "pinterest": "pinterest", "reddit": "reddit",
    "linkedin": "linkedin", "youtube": "youtube", "twitter": "twitter", "x": "twitter", "t": "twitter", "lnkd": "linkedin",
    "snapchat": "snapchat", "whatsapp": "whatsapp",
}  # fmt: skip


def checkout_step(properties: dict[str, object]) -> str:
    """Which canonical event a `Checkout Step Completed` stands for: by the one method it carries, else by its step.

    Segment's own example carries both methods on step 2, so with both the step decides.
    """
    shipping, payment = properties.get("shipping_method"), properties.get("payment_method")
    if payment and not shipping:
        return "add_payment_info"
    if shipping and not payment:
        return "add_shipping_info"
    step = properties.get("step")
    text = str(step).lower()
    if text.isdecimal() and int(text) in CHECKOUT_STEPS:
        return CHECKOUT_STEPS[int(text)]
    if "pay" in text or "billing" in text:
        return "add_payment_info"
    if "ship" in text or "deliver" in text:
        return "add_shipping_info"
    return "add_payment_info" if payment else "begin_checkout"
