"""Which channels hear of an incident: writes the `Delivery` rows that the sender claims."""

from datetime import datetime, timedelta
from typing import Literal

from funnelwatch.core import clock
from funnelwatch.core.vocabulary import SEVERITIES
from funnelwatch.incidents.matching import APART
from funnelwatch.incidents.models import Delivery, Incident
from funnelwatch.projects.models import Channel

Event = Literal["opened", "updated", "escalated", "acknowledged", "resolved"]
Mode = Literal["none", "record", "live"]


def announce(incident: Incident, at: datetime, mode: Mode, again: bool = False) -> None:
    """Open the incident for every channel whose threshold its severity reaches and that has not heard of it (`again`: all).

    "record" writes the rows as already done, "none" writes nothing. What is not the shop's own trouble is told to nobody.
    """
    if mode == "none" or incident.kind in APART:
        return
    channels = Channel.objects.filter(project=incident.project_id, disabled_reason="")
    if not again:
        channels = channels.exclude(deliveries__in=incident.deliveries.filter(event="opened"))
    for channel in channels:
        if SEVERITIES.index(incident.severity) <= SEVERITIES.index(channel.min_severity):
            _write(incident, channel, "opened", at, recorded=mode == "record")


def follow_up(incident: Incident, event: Event, at: datetime) -> None:
    """Tell the channels that heard of the opening, and no others, in the way they heard of it."""
    for told in _last_alerts(incident):
        _write(incident, told.channel, event, at, recorded=told.external_ref == "recorded")


def escalate(incident: Incident, at: datetime, after: timedelta) -> None:
    """Tell channels that the severity rose above what they last heard, no sooner than `after` that."""
    for told in _last_alerts(incident):
        louder = SEVERITIES.index(incident.severity) < SEVERITIES.index(told.severity)
        if louder and told.created_at <= at - after:
            _write(incident, told.channel, "escalated", at, recorded=told.external_ref == "recorded")


def _last_alerts(incident: Incident) -> list[Delivery]:
    """The last alert each channel got, for channels that still work."""
    alerts = incident.deliveries.filter(event__in=("opened", "escalated"), failed_at=None, channel__disabled_reason="")
    return list({row.channel_id: row for row in alerts.order_by("pk").select_related("channel")}.values())


def _write(incident: Incident, channel: Channel, event: Event, at: datetime, recorded: bool) -> None:
    """One row an incident, channel, event and minute: a tick that runs twice tells once."""
    Delivery.objects.get_or_create(
        dedup_key=f"{incident.pk}:{channel.pk}:{event}:{clock.to_minute(at)}",
        defaults={
            "incident": incident, "channel": channel, "event": event, "severity": incident.severity, "created_at": at,
            "next_try_at": at, "sent_at": at if recorded else None, "external_ref": "recorded" if recorded else "",
        },
    )  # fmt: skip
