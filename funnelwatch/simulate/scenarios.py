"""The scenarios: a shop, what changes in it, what goes wrong, and from when to when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from funnelwatch.core.vocabulary import ChangeKind
from funnelwatch.simulate.faults import Fault
from funnelwatch.simulate.shop import FLAT, HIGH_INTENT, NEVER, STOREFRONT, Channel, Shop

DAY = 24 * 60
#: A Saturday, 18:30 in India: history ends on a Saturday too, as the evening's rush sets in.
START = datetime(2026, 10, 3, 13, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """An entry of the change ledger, `minute` minutes after the end of history (negative: before).

    `known` is how many minutes later the ledger learns of it. `version` makes it a release: from then on new sessions carry it.
    """

    minute: float
    kind: ChangeKind
    title: str
    external_id: str
    source: str
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lasts: float | None = None
    known: float = 1.0
    author: str = ""
    planned: bool = False
    expected_effect: Mapping[str, Any] | None = None
    revert: Mapping[str, Any] | None = None
    version: str = ""

    def started_at(self, history_until: datetime) -> datetime:
        """When it took place."""
        return history_until + timedelta(minutes=self.minute)

    def to_json(self, history_until: datetime) -> dict[str, Any]:
        """As `POST /api/v1/changes/` takes it."""
        start = self.started_at(history_until)
        entry: dict[str, Any] = {
            "kind": self.kind,
            "title": self.title,
            "started_at": to_iso(start),
            "known_at": to_iso(start + timedelta(minutes=self.known)),
            "source": self.source,
            "external_id": self.external_id,
            "author": self.author,
            "scope": {dimension: list(values) for dimension, values in self.scope.items()},
            "planned": self.planned,
        }
        if self.lasts is not None:
            entry["ended_at"] = to_iso(start + timedelta(minutes=self.lasts))
        if self.expected_effect:
            entry["expected_effect"] = dict(self.expected_effect)
        if self.revert:
            entry["revert"] = dict(self.revert)
        return entry


@dataclass(frozen=True)
class Scenario:
    """A shop watched for `days` of history and then for `hours`, in which the faults lie."""

    title: str
    project: str
    shop: Shop
    sessions_per_day: float
    days: float = 14
    hours: float = 4
    start: datetime = START
    faults: tuple[Fault, ...] = ()
    changes: tuple[Entry, ...] = ()


def to_iso(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond, with Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_LEDGER = (
    Entry(-15 * DAY, "campaign", "ig_sale starts", "ig-8841", "instagram-ads", {"campaign": ("ig_sale",)}, planned=True, author="Neel"),
    Entry(-11 * DAY - 200, "deploy", "web 5.17.1", "deploy-2f81c09", "github", author="Ishaan", version="5.17.1"),
    Entry(-8 * DAY - 340, "deploy", "web 5.18.0", "deploy-7ac4e11", "github", author="Meera", version="5.18.0"),
    Entry(-6 * DAY, "experiment", "size_guide: inline for half", "exp-61", "flagdeck", {"variant": ("size_guide:inline",)}, author="Meera"),
    Entry(-4 * DAY - 90, "third_party", "Chat widget 3.2", "helpdesk-3.2", "helpdesk", author="Helpdesk"),
    Entry(-3 * DAY - 400, "payment_provider", "PayU: net banking degraded", "payu-2291", "payu-status", {"payment_provider": ("payu",), "payment_method": ("netbanking",)}, lasts=37, known=9),
    Entry(-1 * DAY - 310, "deploy", "web 5.18.1", "deploy-b03d9fe", "github", author="Ishaan", version="5.18.1"),
    Entry(38, "deploy", "web 5.18.2: size chart, lazy images", "deploy-9d03f7b", "github", author="Ishaan", version="5.18.2"),
    Entry(64, "feature_flag", "one_page_checkout 25 % to 50 %", "flag-one-page-50", "flagdeck", {"variant": ("checkout_layout:one_page",)}, author="Meera"),
    Entry(81, "price", "Weekend prices: earrings and bags", "price-3107", "erp", {"category": ("earrings", "bags")}, planned=True, author="ERP feed"),
    Entry(96, "campaign", "Weekly edit sent to 48,000", "mail-1188", "mailer", {"campaign": ("weekly_edit",)}, planned=True, author="Neel"),
)  # fmt: skip

_CDN = Entry(
    89, "cdn", "CDN config 4f2c: new edge rule for in-app traffic", "cdn-4f2c", "edge-config",
    {"os": ("iOS",), "campaign": ("ig_sale",)}, author="Karan",
    revert={"kind": "cdn", "to": "cdn-4f2b"},
)  # fmt: skip

_CASE_STUDY = Scenario(
    title="A CDN config change makes 60 % of payments fail for iOS Safari visitors of campaign ig_sale",
    project="noor-and-loom",
    shop=HIGH_INTENT,
    sessions_per_day=18_500,
    changes=(*_LEDGER, _CDN),
    faults=(
        Fault(
            "payment_failure", start=90, minutes=75, size=0.6, cause=_CDN.external_id,
            scope={"os": "iOS", "browser": "Safari", "campaign": "ig_sale"},
        ),
    ),
)  # fmt: skip

_LOW_INTENT = Channel(
    "ig_reels", 1.0, FLAT, "instagram", "instagram", "paid_social", "ig_reels", "https://l.instagram.com/",
    lands_on="product", intent=-1.8, returning=0.02,
)  # fmt: skip
_SCRAPERS = Channel("scrapers", 1.0, FLAT, "scrapers", lands_on="product", intent=NEVER, returning=0.0)

#: Name -> scenario. One line more makes one more.
SCENARIOS: dict[str, Scenario] = {
    "case-study": _CASE_STUDY,
    "quiet": replace(_CASE_STUDY, title="The case study's shop with the same changes and no fault", faults=()),
    "checkout-outage": replace(
        _CASE_STUDY,
        title="A release breaks the checkout: nine in ten get a server error",
        faults=(Fault("checkout_errors", start=40, minutes=60, size=0.9, cause="deploy-9d03f7b"),),
    ),
    "tracking-loss": replace(
        _CASE_STUDY,
        title="Purchases of Chrome are no longer recorded by the browser; the orders go on",
        faults=(Fault("tracking_loss", 40, 200, 0.95, {"browser": "Chrome"}, cause="deploy-9d03f7b"),),
    ),
    "mix-shift": replace(
        _CASE_STUDY,
        title="A campaign doubles the traffic with visitors who only look; later bots walk the catalogue: no incident",
        faults=(
            Fault("mix_shift", 30, 120, 1.5, channel=_LOW_INTENT, ramp=15),
            Fault("bot_flood", 170, 40, 1.5, channel=_SCRAPERS),
        ),
        changes=(
            *_LEDGER,
            Entry(30, "campaign", "ig_reels starts", "ig-9020", "instagram-ads", {"campaign": ("ig_reels",)}, planned=True, author="Neel"),
        ),
    ),
    "stockout": replace(
        _CASE_STUDY,
        title="The best seller is sold out, and shoppers learn it at checkout",
        faults=(Fault("stockout", 45, 180, 0.9, {"sku": "NL-1000"}, cause="stock-88412"),),
        changes=(
            *_LEDGER,
            Entry(43, "stock", "Stock sync: NL-1000 set to 0", "stock-88412", "erp", {"sku": ("NL-1000",)}, author="ERP feed"),
        ),
    ),
    "coupon": replace(
        _CASE_STUDY,
        title="The sale's coupon is rejected, and half of those who came for it leave",
        faults=(Fault("coupon_failure", 60, 120, 0.5, {"coupon": "IGSALE20"}, cause="promo-205"),),
        changes=(
            *_LEDGER,
            Entry(59, "promo", "Promotion rules republished", "promo-205", "erp", {"coupon": ("IGSALE20",)}, author="Neel"),
        ),
    ),
    "slow-provider": replace(
        _CASE_STUDY,
        title="Razorpay answers five times as slowly, and three payments in ten time out",
        faults=(Fault("slow_payment", 75, 90, 0.3, {"payment_provider": "razorpay"}, cause="razorpay-771", factor=5),),
        changes=(
            *_LEDGER,
            Entry(75, "payment_provider", "Razorpay: elevated latency", "razorpay-771", "razorpay-status", {"payment_provider": ("razorpay",)}, known=14),
        ),
    ),
    "slow-burn": Scenario(
        title="An ordinary shop whose cart button fails for ever more Firefox visitors over six hours",
        project="haus-und-hof",
        shop=STOREFRONT,
        sessions_per_day=30_000,
        hours=16,
        start=datetime(2026, 10, 3, 4, 0, tzinfo=UTC),
        faults=(Fault("broken_page", 60, 840, 0.8, {"browser": "Firefox"}, cause="deploy-12.4.0", ramp=360),),
        changes=(
            Entry(-5 * DAY, "deploy", "shop 12.3.1", "deploy-12.3.1", "gitlab", version="12.3.1", author="Jonas"),
            Entry(-40, "price", "Autumn prices", "price-77", "erp", planned=True, author="ERP feed"),
            Entry(55, "deploy", "shop 12.4.0: new cart drawer", "deploy-12.4.0", "gitlab", version="12.4.0", author="Jonas"),
        ),
    ),
    "demo": replace(
        _CASE_STUDY,
        title="The case study for a shop window: a week of history, the fault soon after, then further trouble by and by",
        days=7,
        hours=6,
        changes=(
            *(entry for entry in _LEDGER if entry.minute < 0),
            replace(_CDN, minute=4),
            Entry(-20, "deploy", "web 5.18.2: size chart, lazy images", "deploy-9d03f7b", "github", author="Ishaan", version="5.18.2"),
            Entry(2, "price", "Weekend prices: earrings and bags", "price-3107", "erp", {"category": ("earrings", "bags")}, planned=True, author="ERP feed"),
            Entry(148, "deploy", "web 5.18.3", "deploy-c81fa20", "github", author="Meera", version="5.18.3"),
        ),
        faults=(
            Fault("payment_failure", 5, 50, 0.6, {"os": "iOS", "browser": "Safari", "campaign": "ig_sale"}, cause="cdn-4f2c"),
            Fault("tracking_loss", 150, 60, 0.95, {"browser": "Chrome"}, cause="deploy-c81fa20"),
            Fault("bot_flood", 250, 30, 1.5, channel=_SCRAPERS),
        ),
    ),
}  # fmt: skip
