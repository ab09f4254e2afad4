"""A message that shows a channel works, through the very code that sends alerts."""

from funnelwatch.alert import channel as channels
from funnelwatch.alert.message import Message
from funnelwatch.core import clock
from funnelwatch.incidents.models import Delivery
from funnelwatch.projects.models import Channel


def send(channel: Channel, url: str) -> None:
    """Send a test to `channel`; where it opens something (a page), close it again. Raises DeliveryError."""
    sender = channels.load(channel.kind)
    now = clock.now()
    key = f"test:{channel.pk}:{int(now.timestamp())}"
    for event in ("opened", "resolved") if channel.kind == "pagerduty" else ("opened",):
        delivery = Delivery(channel=channel, event=event, severity="low", dedup_key=key, created_at=now, attempts=1)
        sender.send(delivery, _message(channel, event, url))


def _message(channel: Channel, event: str, url: str) -> Message:
    now = clock.now()
    return Message(
        event=event, incident_id=0, name="Test", project=str(channel.project), severity="low", status="open",
        title=f"Test from FunnelWatch for {channel.project}: this channel works", url=url, playbook_url=url, since=f"{now:%H:%M} UTC",
        until="", measure="Nothing is wrong.", money="", cause="", cause_url=url, cause_detail="", likelihood="", evidence=(), steps=(),
        owner="nobody", detectors="none", footer=f"Sent from Settings of {channel.project}", started_at=now,
        payload={"test": True, "project": channel.project.name, "step": "", "funnel": "", "kind": "test"},
    )  # fmt: skip
