"""Ready playbooks: what to look at first for each kind of trouble. One entry a playbook; `attach` hangs one on an incident.

In a step's words `{cohort}`, `{step}`, `{change}` and `{since}` stand for the incident's own. Every step here is for a person;
the automatic steps that come before are the ones that really happened (evidence kept, people told).
"""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import transaction

from funnelwatch.core.cohort import Cohort
from funnelwatch.incidents import words
from funnelwatch.incidents.models import Cause, Incident, PlaybookStep


class Step(NamedTuple):
    """Something for a person to do, and what to look for while doing it."""

    title: str
    detail: str


PLAYBOOKS: dict[str, tuple[Step, ...]] = {
    "payment failing": (
        Step("Place a test order as {cohort}", "Watch where it stops: form, bank page, return to the shop. Note the error code."),
        Step("Read the provider's status page and its error codes since {since}", "One code that rose says provider or config; all codes together say traffic or fraud rules."),
        Step("Compare payment methods and providers in the funnel, by {step}", "If one is down, offer another one first or hide it until it is back."),
        Step("Ask the provider with two failing payment ids and times", "Failed authorisations, 3-D Secure and webhooks have different teams."),
    ),
    "config or CDN regression": (
        Step("Read what {change} changed, and where it reaches", "Rules by browser, path or country that fit {cohort} are the first suspects."),
        Step("Open {step} as {cohort} with an empty cache", "Look for blocked scripts, wrong content types, redirects and pages from the cache that belong to someone else."),
        Step("Put the previous config back", "It is back to normal when {step} is inside its range for 20 minutes; FunnelWatch watches that."),
        Step("Purge the cache of what the change touched", "A rollback does not remove wrong copies that the edge already keeps."),
    ),
    "deploy regression": (
        Step("Read the diff of {change} for {step}", "Start with what runs only for {cohort}."),
        Step("Look at script errors and failed requests first seen after it", "Errors that began within minutes of the release and only in {cohort} name the line."),
        Step("Switch off the flag, or put the previous release back", "It is back to normal when {step} is inside its range for 20 minutes; FunnelWatch watches that."),
        Step("Write a test that fails on the released version", "So that it does not come back with the next release."),
    ),
    "third party failing": (
        Step("Read the status page of {change}", "Note when they say it began and compare with {since}."),
        Step("Load {step} as {cohort} with that script blocked", "If it works without, the script can be left out until it is back."),
        Step("Take the script out of the checkout, or load it after the page", "Nothing that is not needed to pay should be able to stop a payment."),
    ),
    "tracking loss": (
        Step("Compare orders in the shop's back office with purchase events since {since}", "Equal orders and fewer events: only the measurement is broken, no money is lost."),
        Step("Watch the live view while ordering as {cohort}", "An event that does not arrive: tag, consent banner, ad blocker or content security policy. One that arrives with a reason: read the reason."),
        Step("Read the last change to the tag, the consent banner and the thank-you page", "{change} is the first to look at."),
        Step("Send orders from the server as well", "Orders by webhook or server SDK do not depend on the browser."),
    ),
    "coupon or price fault": (
        Step("Try the advertised code on a cart as {cohort}", "Note the message a shopper sees and the code of the rejection."),
        Step("Check dates, time zone, currency, minimum and excluded products of {change}", "A promotion that ends at midnight of another zone is the usual one."),
        Step("Compare the price on the product page, in the cart and in the checkout", "Different numbers make people leave without an error."),
        Step("Correct the promotion, or take it out of banners and mails", "A code that does not work costs more than no code."),
    ),
    "stock-out": (
        Step("List the products people could not buy since {since}", "Sold out in the shop but in stock in the warehouse: the stock feed is late."),
        Step("Stop the campaigns that lead to them", "Paid clicks on sold-out products are lost twice."),
        Step("Offer another size, a substitute or a note when it is back", "On the product page and in carts that hold it."),
    ),
    "traffic changed": (
        Step("Compare sources, campaigns and countries before and after {since}", "If every group kept its own rate, the shop works and the visitors are others."),
        Step("Ask marketing what started at {since}", "{change} is the first to ask about; its landing page and audience may not fit."),
        Step("Look at sessions without a cart, from one network or with one browser version", "Those are robots: block or mark them, so that rates stay readable."),
    ),
    "silence": (
        Step("Open the shop in a browser that nobody has logged in with", "Shop down: call who runs it. Shop up: only the measurement is silent."),
        Step("Look at the live view while clicking through", "Nothing arrives: the snippet or key is gone. Rejected: the reason stands beside the event."),
        Step("Compare with orders in the back office", "Orders go on: no money is lost, and the other alerts are paused until events are back."),
        Step("Read what was deployed just before {since}", "A new template without the snippet, a new content security policy, a consent banner: {change}."),
    ),
    "data is late": (
        Step("Look at the delay between happening and arriving", "Old events from one app version or one server: its queue was held up and now empties."),
        Step("Wait until the delay is back to usual before judging the funnel", "Late events change their own minutes only; the numbers repair themselves."),
    ),
    "conversion fell": (
        Step("Walk through {step} as {cohort}", "Same device, browser and landing page as the shoppers concerned; note the first thing that is odd."),
        Step("Compare errors, waiting times and stock with the hour before {since}", "What rose in this group and nowhere else is the lead."),
        Step("Ask who changed something shortly before {since}", "If it is not in the change feed yet, enter it: the ranking is then made again."),
    ),
}  # fmt: skip

_BY_KIND = {
    "tracking": "tracking loss", "silence": "silence", "mix": "traffic changed", "bot": "traffic changed",
    "late_data": "data is late",
}  # fmt: skip
_BY_CAUSE = {
    "cdn": "config or CDN regression", "config": "config or CDN regression", "deploy": "deploy regression",
    "feature_flag": "deploy regression", "experiment": "deploy regression", "third_party": "third party failing",
    "payment_provider": "payment failing", "promo": "coupon or price fault", "price": "coupon or price fault", "stock": "stock-out",
    "campaign": "traffic changed", "holiday": "traffic changed", "bot": "traffic changed", "late_data": "data is late",
}  # fmt: skip
#: Below this the first cause is one of many, and what failed says more than what changed.
_BELIEVED = 0.3


def choose(incident: Incident) -> str:
    """The playbook for an incident: by what kind of trouble it is, else by its likely cause, else by where it is."""
    if incident.kind in _BY_KIND:
        return _BY_KIND[incident.kind]
    cause = _first_cause(incident)
    if cause and cause.kind in _BY_CAUSE:
        return _BY_CAUSE[cause.kind]
    if incident.kind == "volume":
        return "traffic changed"
    return "payment failing" if incident.step.endswith("->purchase") else "conversion fell"


def attach(incident: Incident, at: datetime) -> list[PlaybookStep]:
    """Hang the fitting playbook on an incident and keep its automatic steps true; safe to call at every tick.

    When a later diagnosis asks for another playbook it replaces the first, unless somebody has begun with that one.
    """
    with transaction.atomic():
        name = choose(incident)
        present = list(incident.playbook.all())
        begun = any(step.done_at for step in present if not step.automatic)
        if not present or (present[0].playbook != name and not begun):
            incident.playbook.all().delete()
            PlaybookStep.objects.bulk_create(_steps(incident, name))
        told = incident.deliveries.filter(sent_at__isnull=False).order_by("sent_at").first()
        if told:
            incident.playbook.filter(automatic=True, title=_TELL, done_at=None).update(done_at=told.sent_at)
        return list(incident.playbook.all())


_KEEP, _TELL = "Keep the evidence", "Tell the people on call"


def _steps(incident: Incident, name: str) -> list[PlaybookStep]:
    cause = _first_cause(incident)
    filled = {
        "cohort": _cohort(incident),
        "step": words.step_range(incident.step).lower(),
        "change": cause.title if cause else "the latest change",
        "since": f"{incident.started_at.astimezone(ZoneInfo(incident.project.timezone)):%H:%M}",
    }
    rows = [
        (_KEEP, "Series, causes and the order of events are stored with this incident.", True, incident.detected_at)
    ]
    if incident.deliveries.exists():
        rows.append((_TELL, "Every channel whose threshold this severity reaches.", True, None))
    rows += [(step.title.format_map(filled), step.detail.format_map(filled), False, None) for step in PLAYBOOKS[name]]
    return [
        PlaybookStep(
            incident=incident, position=position, playbook=name, title=title[:200], detail=detail[:500], automatic=automatic, done_at=done
        )
        for position, (title, detail, automatic, done) in enumerate(rows, start=1)
    ]  # fmt: skip


def _cohort(incident: Incident) -> str:
    label = Cohort.from_json(incident.cohort).label()
    return "any shopper" if label == "everyone" else label


def _first_cause(incident: Incident) -> Cause | None:
    return incident.causes.filter(rejected="", probability__gte=_BELIEVED).exclude(kind="unknown").first()
