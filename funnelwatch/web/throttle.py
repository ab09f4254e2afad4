"""Limits guesses at passwords, across processes: failed log-ins are audit rows, and rows are counted."""

from datetime import timedelta
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from funnelwatch.core import clock
from funnelwatch.projects.models import AuditRow

WINDOW = timedelta(minutes=15)
ACTION = "login.failed"

#: Failures within the window: for one name from one address, from one address, for one name from anywhere.
LIMIT_PAIR, LIMIT_ADDRESS, LIMIT_NAME = 5, 30, 50


def blocked(name: str, address: str) -> bool:
    """Whether this name and address have failed too often of late."""
    rows = AuditRow.objects.filter(project=None, at__gt=clock.now() - WINDOW, action=ACTION)
    return (
        rows.filter(target=name[:200], actor=address).count() >= LIMIT_PAIR
        or rows.filter(actor=address).count() >= LIMIT_ADDRESS
        or rows.filter(target=name[:200]).count() >= LIMIT_NAME
    )


def note_failure(name: str, address: str) -> None:
    """Remember one failed attempt."""
    AuditRow.objects.create(actor=address, action=ACTION, target=name[:200])


def client_address(request: HttpRequest) -> str:
    """The peer, or behind trusted proxies the last address they did not add themselves."""
    peer = request.META.get("REMOTE_ADDR", "")
    if not _trusted(peer):
        return peer
    hops = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    return next((hop for hop in reversed(hops) if not _trusted(hop)), peer)


def _trusted(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:  # a unix socket's peer, or a forged header
        return False
    return any(parsed in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)
