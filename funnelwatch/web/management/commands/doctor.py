"""`funnelwatch doctor`."""

import ctypes.util
import shutil
import smtplib
from collections.abc import Iterator
from typing import Any, NamedTuple

import redis
from django.conf import settings
from django.core.mail import get_connection

from funnelwatch.ingest import geo
from funnelwatch.projects.models import Channel
from funnelwatch.web.errors import Error
from funnelwatch.web.jobs.carry import carry_out
from funnelwatch.web.jobs.engine import EXPIRY_DAYS
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress

MIN_FREE_GB = 2
MAX_CLOCK_SECONDS = 2.0


class Check(NamedTuple):
    """One thing looked at; `fix` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class Command(Base):
    help = "Check this installation and say what to do about each fault."

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        checks = list(_checks(progress))
        return {"ok": all(check.ok for check in checks), "checks": [check._asdict() for check in checks]}

    def summary(self, result: dict[str, Any]) -> str:
        lines = []
        for check in result["checks"]:
            lines.append(f"{'ok   ' if check['ok'] else 'FAULT'} {check['name']}: {check['detail']}")
            if not check["ok"]:
                lines.append(f"      {check['fix']}")
        return "\n".join(lines)

    def failed(self, result: dict[str, Any]) -> bool:
        return not result["ok"]


def _checks(progress: Progress) -> Iterator[Check]:
    mode = "embedded, everything in one process" if settings.EMBEDDED else "server"
    yield Check("mode", True, f"{mode}; data in {settings.DATA_DIR}")
    database = _database()
    yield database
    yield from _engine(progress)
    yield _broker()
    yield _disk()
    yield _drawing()
    yield _geography()
    if database.ok:
        yield from _channels()
        yield from _mail()


def _database() -> Check:
    try:
        prepare_database()
    except Error as error:
        return Check("database", False, str(error), "start the database or correct DATABASE_URL, then run doctor again")
    return Check("database", True, f"{settings.DATABASES['default']['ENGINE'].rpartition('.')[2]}, up to date")


def _engine(progress: Progress) -> Iterator[Check]:
    try:
        answer = carry_out("engine", {}, progress)
    except Error as error:
        yield Check("engine", False, str(error), "the message says what to start or to stop")
        return
    yield Check("engine", True, f"ClickHouse {answer['version']}")
    ahead = answer["ahead_s"]
    yield Check(
        "clock", abs(ahead) < MAX_CLOCK_SECONDS, f"this machine and the engine differ by {abs(ahead):.1f} s",
        "set both clocks by NTP: events are judged by the minute",
    )  # fmt: skip
    gone = ", ".join(
        f"{each['rows']:,} {each['table']} in {each['partitions']} partition{'s' * (each['partitions'] != 1)}" for each in answer["expiring"]
    )
    yield Check("retention", True, f"{gone or 'nothing'} will go by age within {EXPIRY_DAYS} days")


def _broker() -> Check:
    if settings.EMBEDDED:
        return Check("broker", True, "in memory")
    try:
        redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=3).ping()
    except redis.RedisError as error:
        return Check("broker", False, f"Redis does not answer: {error}", "start Redis or correct CELERY_BROKER_URL")
    return Check("broker", True, "Redis answers")


def _disk() -> Check:
    free = shutil.disk_usage(settings.DATA_DIR).free / 1e9
    return Check(
        "disk", free >= MIN_FREE_GB, f"{free:.1f} GB free in {settings.DATA_DIR}",
        f"make at least {MIN_FREE_GB} GB free: ingest answers 429 when its spool is full",
    )  # fmt: skip


def _drawing() -> Check:
    found = ctypes.util.find_library("cairo")
    return Check("charts", bool(found), found or "the library cairo is missing", "apt-get install libcairo2: charts in Slack need it")


def _geography() -> Check:
    try:
        return Check("geography", True, geo.load())
    except geo.GeoFileError as error:
        return Check("geography", False, str(error), "until then `up` and the web process do not start")


def _channels() -> Iterator[Check]:
    for channel in Channel.objects.select_related("project").order_by("pk"):
        name = f"channel {channel.name} of {channel.project}"
        reason = channel.disabled_reason
        yield Check(name, not reason, reason or channel.kind, "correct it under Settings, then send a test")


def _mail() -> Iterator[Check]:
    if not Channel.objects.filter(kind="email").exists():
        return
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        with get_connection():
            yield Check("mail server", True, f"{server} takes mail")
        return
    except smtplib.SMTPResponseException as error:
        detail = f"{server} answers {error.smtp_code} to the login"
    except (smtplib.SMTPException, OSError) as error:
        detail = f"{server} cannot be used: {error}"
    yield Check("mail server", False, detail, "correct FUNNELWATCH_EMAIL_HOST, _PORT, _TLS, _USER and _PASSWORD")
