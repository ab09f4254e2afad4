"""E-mail through Django's mail settings, one thread an incident."""

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

from funnelwatch.alert.channel import DeliveryError
from funnelwatch.alert.message import Message
from funnelwatch.incidents.models import Delivery

EVENTS = frozenset({"opened", "escalated", "resolved"})
REQUIRED = ("to",)


def send(delivery: Delivery, message: Message) -> str:
    """Send to the channel's addresses; returns the Message-ID, which a repeat keeps. Raises DeliveryError."""
    identity = f"<{delivery.dedup_key.replace(':', '-')}@{urlsplit(settings.PUBLIC_URL).hostname}>"
    headers = {"Message-ID": identity} | (
        {"In-Reply-To": message.thread, "References": message.thread} if message.thread else {}
    )
    to = delivery.channel.config["to"]
    mail = EmailMessage(
        subject=f"[{message.severity}] {message.headline}",
        body=_body(message),
        to=[to] if isinstance(to, str) else list(to),
        headers=headers,
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        raise DeliveryError(f"all addresses were refused: {', '.join(error.recipients)}", permanent=True) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(f"the mail server answered {error.smtp_code}", permanent=error.smtp_code >= 500) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"the mail server cannot be reached: {error}") from error
    return identity


def _body(message: Message) -> str:
    lines = [message.text, "", message.measure, ""]
    if message.cause:
        lines += [f"{message.likelihood}: {message.cause}, {message.cause_detail}".rstrip(", ")]
        lines += [f"- {reason}" for reason in message.evidence] + [""]
    if message.steps:
        lines += ["Next steps:", *(f"- {step}" for step in message.steps), ""]
    return "\n".join([*lines, f"Incident: {message.url}", f"Playbook: {message.playbook_url}", "", message.footer])
