"""What there is to say about an incident, once for all channels: what fell, for whom, since when, how much money, why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from funnelwatch.core import format
from funnelwatch.incidents import contract, words
from funnelwatch.incidents.models import Cause, Delivery, Incident

_MEASURES = {
    "conversion": "Conversion",
    "errors": "The error rate",
    "volume": "Volume",
    "revenue": "Revenue",
    "latency": "Waiting time",
}

_ENDINGS = {"resolved": "Resolved", "expected": "Expected", "false_alarm": "False alarm"}


@dataclass(frozen=True, slots=True)
class Message:
    """One incident at the moment of sending. Texts are plain; times are clock times of the shop."""

    event: str
    incident_id: int
    name: str  # INC-7
    project: str
    severity: str
    status: str
    title: str
    url: str
    playbook_url: str
    since: str
    until: str  # empty while it lasts
    measure: str  # "Conversion is 50.9 % (49.2–52.6); we expect 62.1 %."
    money: str  # "₹3.4 lakh at risk per hour", empty when nothing is known
    cause: str  # title of the likely cause, empty when unknown
    cause_url: str
    cause_detail: str  # "started 14:25 by Karan S."
    likelihood: str  # "Very likely cause (81 %)"
    evidence: tuple[str, ...]
    steps: tuple[str, ...]  # the next open steps of the playbook
    owner: str
    detectors: str
    footer: str
    started_at: datetime
    payload: dict[str, Any]  # the contract's JSON of the incident
    thread: str = ""  # what the channel called its first message about this incident

    @property
    def ending(self) -> str:
        """What the incident turned out to be, empty while it is open."""
        return _ENDINGS.get(self.status, "")

    @property
    def headline(self) -> str:
        """The title, marked when it is over."""
        return f"{self.ending}: {self.title}" if self.ending else self.title

    @property
    def text(self) -> str:
        """One line for notifications and clients without rich text."""
        return f"{self.headline} {self.story}"

    @property
    def story(self) -> str:
        """Since when, how much money, why."""
        when = f"from {self.since} to {self.until}" if self.until else f"since {self.since}"
        cause = f"Likely cause: {self.cause}." if self.cause else "Cause not known yet."
        return " ".join(part for part in (f"{when}.", f"{self.money}." if self.money else "", cause) if part)


def build(delivery: Delivery) -> Message:
    """The message of a delivery, from the incident as it is now."""
    incident = delivery.incident
    zone = ZoneInfo(incident.project.timezone)
    first = incident.causes.filter(rejected="").select_related("change").first()
    known = first if first and first.kind != "unknown" else None
    url = contract.page_url(incident)
    todo = incident.playbook.filter(done_at=None)[:3]
    return Message(
        event=delivery.event,
        incident_id=incident.pk,
        name=str(incident),
        project=str(incident.project),
        severity=incident.severity,
        status=incident.status,
        title=incident.title,
        url=url,
        playbook_url=f"{url}#playbook",
        since=_clock(incident.started_at, zone),
        until=_clock(incident.last_seen_at, zone) if incident.resolved_at else "",
        measure=_measure(incident),
        money=_money(incident),
        cause=known.title if known else "",
        cause_url=(known.change.url if known and known.change else "") or url,
        cause_detail=_cause_detail(known, zone),
        likelihood=f"{words.likelihood(known.probability).capitalize()} cause ({words.percent(known.probability)})"
        if known
        else "",
        evidence=tuple(row["text"] for row in _strongest(known)),
        steps=tuple(step.title for step in todo),
        owner=_owner(incident),
        detectors=", ".join(row["name"] for row in incident.detectors),
        footer=_footer(incident, zone),
        started_at=incident.started_at,
        payload=contract.to_json(incident),
        thread=_thread(delivery),
    )


def _owner(incident: Incident) -> str:
    """Who it is assigned to, else who acknowledged it last."""
    if incident.assignee:
        return incident.assignee.get_username()
    entry = incident.timeline.filter(kind="acknowledged").last()
    return entry.actor if entry else "nobody yet"


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%H:%M}"


def _measure(incident: Incident) -> str:
    currency = incident.project.currency

    def number(value: float) -> str:
        return format.value(value, incident.metric, currency)

    band = f"{number(incident.interval_lo)}{format.DASH}{number(incident.interval_hi)}"
    return (
        f"{_MEASURES[incident.metric]} is {number(incident.observed)} ({band}); we expect {number(incident.expected)}."
    )


def _money(incident: Incident) -> str:
    """Money an hour while it lasts, in all when it is over; orders where no order value is known."""
    impact = incident.impact
    currency, orders = impact.get("currency") or incident.project.currency, impact.get("lost_orders") or 0
    if incident.resolved_at and impact.get("lost_revenue") is not None:
        return f"About {format.money(impact['lost_revenue'], currency)} lost"
    if impact.get("per_hour") is not None:
        return f"{format.money(impact['per_hour'], currency)} at risk per hour"
    return f"About {format.group(orders)} orders lost" if orders >= 1 else ""


def _cause_detail(cause: Cause | None, zone: ZoneInfo) -> str:
    if cause is None or cause.change is None:
        return ""
    by = f" by {cause.change.author}" if cause.change.author else ""
    return f"started {_clock(cause.change.started_at, zone)}{by}"


def _strongest(cause: Cause | None) -> list[dict[str, Any]]:
    """The three best reasons for the cause."""
    rows = [row for row in cause.evidence if row["weight"] > 0] if cause else []
    return sorted(rows, key=lambda row: -row["weight"])[:3]


def _footer(incident: Incident, zone: ZoneInfo) -> str:
    delay = format.duration(incident.detected_at - incident.started_at)
    found = f"found {_clock(incident.detected_at, zone)}, {delay} after it began"
    return f"{incident} · {found} · FunnelWatch for {incident.project}"


def _thread(delivery: Delivery) -> str:
    """The reference of the first message that this channel got about this incident."""
    opened = delivery.incident.deliveries.filter(channel=delivery.channel_id, event="opened", sent_at__isnull=False)
    first = opened.exclude(pk=delivery.pk).order_by("pk").first()
    return first.external_ref if first else ""
