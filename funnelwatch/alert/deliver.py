"""Send what is due: claim by a conditional update, send, mark. A sender that dies after its claim is repeated by another."""

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from funnelwatch.alert import channel, message
from funnelwatch.alert.channel import DeliveryError
from funnelwatch.core import clock
from funnelwatch.incidents.models import Delivery, TimelineEntry
from funnelwatch.projects.models import Channel

logger = logging.getLogger(__name__)

#: Longer than the slowest send (Slack: three calls of 10 s), so that a living sender never loses its row.
LEASE = timedelta(seconds=60)
#: Slack takes one message a second and channel; the others take more.
REST_S = 1.0
FIRST_RETRY_S, LONGEST_RETRY_S = 5, 900
#: With the waits above: about a day.
MOST_ATTEMPTS = 100


def deliver_due(budget_s: float = 50.0) -> int:
    """Send every due delivery for at most `budget_s` seconds; returns how many went out.

    Rows of one incident and channel go in order; one channel gets a message a second; a failing channel holds up no other.
    """
    sent = 0
    last: dict[int, float] = {}
    end = time.monotonic() + budget_s
    while time.monotonic() < end:
        resting = [key for key, at in last.items() if time.monotonic() - at < REST_S]
        delivery = _claim(resting)
        if delivery is not None:
            sent += _attempt(delivery)
            last[delivery.channel_id] = time.monotonic()
        elif resting and _due(clock.now()).exists():
            time.sleep(0.05)
        else:
            break
    return sent


def _due(now: datetime) -> QuerySet[Delivery]:
    waiting = Delivery.objects.filter(sent_at=None, failed_at=None)
    earlier = waiting.filter(incident=OuterRef("incident"), channel=OuterRef("channel"), pk__lt=OuterRef("pk"))
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    return waiting.filter(free, ~Exists(earlier), next_try_at__lte=now, channel__disabled_reason="")


def _claim(resting: list[int]) -> Delivery | None:
    """The next due row, ours for LEASE. The update repeats the condition, so of two senders one gets it."""
    while True:
        now = clock.now()
        row = _due(now).exclude(channel__in=resting).order_by("created_at", "pk").first()
        if row is None:
            return None
        free = Q(claimed_until=None) | Q(claimed_until__lt=now)
        mine = Delivery.objects.filter(free, pk=row.pk, sent_at=None, failed_at=None)
        if mine.update(claimed_until=now + LEASE, attempts=F("attempts") + 1):
            return Delivery.objects.select_related("channel", "incident__project", "incident__assignee").get(pk=row.pk)


def _attempt(delivery: Delivery) -> bool:
    """One try; True when it is delivered."""
    sender = channel.load(delivery.channel.kind)
    if delivery.event not in sender.EVENTS:
        _mark_sent(delivery, "", told=False)
        return False
    try:
        reference = sender.send(delivery, message.build(delivery))
    except DeliveryError as error:
        if error.permanent:
            _give_up(delivery, str(error))
        else:
            _put_off(delivery, str(error), error.retry_after)
        return False
    except Exception as error:  # a fault in one message must not keep the others from going out
        logger.exception("delivery %s to channel %s", delivery.pk, delivery.channel_id)
        _put_off(delivery, f"{type(error).__name__}: {error}", 0.0)
        return False
    _mark_sent(delivery, reference, told=True)
    return True


def _mark_sent(delivery: Delivery, reference: str, told: bool) -> None:
    now = clock.now()
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(
            sent_at=now, external_ref=reference[:200], error="", claimed_until=None
        )
        if told:
            TimelineEntry.objects.create(
                incident_id=delivery.incident_id, at=now, kind="alert_sent", text=f"{_place(delivery)} was told: {delivery.event}.",
                data={"channel": delivery.channel.kind, "event": delivery.event, "severity": delivery.severity},
            )  # fmt: skip


def _put_off(delivery: Delivery, error: str, retry_after: float) -> None:
    if delivery.attempts >= MOST_ATTEMPTS:
        _fail(delivery, f"given up after {delivery.attempts} attempts: {error}")
        return
    wait = max(retry_after, min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(delivery.attempts - 1, 10)))
    again = clock.now() + timedelta(seconds=wait)
    Delivery.objects.filter(pk=delivery.pk).update(next_try_at=again, claimed_until=None, error=error[:500])


def _give_up(delivery: Delivery, error: str) -> None:
    """A permanent error: switch the channel off and say why; what waited for it will not be sent."""
    with transaction.atomic():
        Channel.objects.filter(pk=delivery.channel_id).update(disabled_reason=error[:300])
        _fail(delivery, error)
        waiting = Delivery.objects.filter(channel=delivery.channel_id, sent_at=None, failed_at=None)
        waiting.update(failed_at=clock.now(), error=f"the channel was switched off: {error}"[:500])


def _fail(delivery: Delivery, error: str) -> None:
    now = clock.now()
    Delivery.objects.filter(pk=delivery.pk).update(failed_at=now, claimed_until=None, error=error[:500])
    TimelineEntry.objects.create(
        incident_id=delivery.incident_id,
        at=now,
        kind="comment",
        text=f"{_place(delivery)} could not be told: {error}"[:1000],
    )


def _place(delivery: Delivery) -> str:
    return f"{delivery.channel.kind.capitalize()} {delivery.channel.name}"
