"""Who owns what: organisations, projects, people and their rights, keys, funnels, channels, connectors, the change ledger, the audit log."""

import hashlib
import secrets
from ipaddress import ip_network
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from funnelwatch.core import clock
from funnelwatch.core.changes import Change
from funnelwatch.core.funnel import FunnelDef, PropertyFilter, Step, parse_combination
from funnelwatch.core.vocabulary import CHANGE_KINDS
from funnelwatch.projects.orders import ErasureAnswer as ErasureAnswer
from funnelwatch.projects.orders import ErasureOrder as ErasureOrder

#: Every event is held against both lists.
MOST_LISTED = 200
MOST_COMBINATIONS = 8


def _salt() -> str:
    return secrets.token_hex(32)


def _write_key() -> str:
    return "wk_" + secrets.token_urlsafe(24)


def _hook_id() -> str:
    return secrets.token_hex(12)


def _secret() -> str:
    return secrets.token_urlsafe(32)


def known_timezone(name: str) -> None:
    """Validator: an IANA time zone. Raises ValidationError."""
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is no IANA time zone; write it like Europe/Berlin")


def currency_code(code: str) -> None:
    """Validator: three capital letters (ISO 4217). Raises ValidationError."""
    if len(code) != 3 or not code.isascii() or not code.isupper():
        raise ValidationError(f"{code!r} is no currency code; write it like EUR")


def address_list(value: Any) -> None:
    """Validator: a list of addresses and networks. Raises ValidationError."""
    for text in _texts(value):
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ValidationError(f"{text!r} is no address; write it like 203.0.113.7 or 203.0.113.0/24") from None


def name_list(value: Any) -> None:
    """Validator: a list of property names. Raises ValidationError."""
    long = [text for text in _texts(value) if not 0 < len(text) <= 100]
    if long:
        raise ValidationError(f"A name has 1 to 100 characters, not {len(long[0])}")


def combination_list(value: Any) -> None:
    """Validator: a list of combinations of dimensions. Raises ValidationError."""
    if len(_texts(value)) > MOST_COMBINATIONS:
        raise ValidationError(f"This takes {MOST_COMBINATIONS} combinations at most: each adds to what every minute costs")
    for text in value:
        try:
            parse_combination(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValidationError("This takes a list of texts")
    if len(value) > MOST_LISTED:
        raise ValidationError(f"This takes {MOST_LISTED} entries at most")
    return value


class Organisation(models.Model):
    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """One shop. Everything measured, found and said is scoped to it."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="projects")
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=100, blank=True)
    timezone = models.CharField(max_length=64, default="UTC", validators=[known_timezone])
    currency = models.CharField(max_length=3, default="EUR", validators=[currency_code])
    salt = models.CharField(max_length=64, default=_salt, help_text="Keys the hash that makes ids pseudonymous.")
    honour_dnt = models.BooleanField(default=False, help_text="Drop events of visitors who send Do-Not-Track.")
    honour_gpc = models.BooleanField(default=True, help_text="Drop events of visitors who send Global Privacy Control.")
    require_consent = models.BooleanField(default=False, help_text="Drop events of visitors who refused analytics.")
    property_deny_list = models.JSONField(
        default=list, blank=True, validators=[name_list], help_text="Names of properties that are never stored."
    )
    excluded_addresses = models.JSONField(
        default=list, blank=True, validators=[address_list], help_text="Networks whose events are stored, not counted."
    )
    combinations = models.JSONField(
        default=list, blank=True, validators=[combination_list],
        help_text="Combinations of dimensions counted besides the usual ones, from the next midnight (UTC) on, like browser+region.",
    )  # fmt: skip
    retention_days = models.PositiveIntegerField(default=400)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.title or self.name


class Member(models.Model):
    class Role(models.TextChoices):
        ADMIN = "admin"
        RESPONDER = "responder"
        VIEWER = "viewer"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "project"], name="one_role_a_project")]


class WriteKey(models.Model):
    """Goes into the shop's page, so it can only write. Revocable at once."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="keys")
    key = models.CharField(max_length=64, unique=True, default=_write_key)
    name = models.CharField(max_length=60, default="storefront")
    allowed_origins = models.JSONField(default=list, blank=True, help_text="Empty: any origin.")
    created_at = models.DateTimeField(default=clock.now)
    revoked_at = models.DateTimeField(null=True, blank=True)


class ApiToken(models.Model):
    """Reads and manages one project. Only the hash is kept; the text is shown once."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=8)
    role = models.CharField(max_length=12, choices=Member.Role.choices, default=Member.Role.ADMIN)
    created_at = models.DateTimeField(default=clock.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    @staticmethod
    def digest_of(text: str) -> str:
        """SHA-256 of a token. Tokens are 256 random bits, so a slow hash would add nothing."""
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def issue(cls, project: Project, name: str, role: str = Member.Role.ADMIN) -> tuple["ApiToken", str]:
        """A new token and its text, which cannot be had again."""
        text = "fw_" + secrets.token_urlsafe(32)
        token = cls.objects.create(project=project, name=name, role=role, digest=cls.digest_of(text), hint=text[-4:])
        return token, text


class Funnel(models.Model):
    """One version of a funnel. An edit makes a new version, so history stays comparable; the newest active one is watched."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="funnels")
    name = models.CharField(max_length=60, default="storefront")
    version = models.PositiveIntegerField(default=1)
    steps = models.JSONField(help_text='[{"name", "events": [...], "filters": [{"property", "values", "negate"}]}]')
    exclusions = models.JSONField(default=list, blank=True)
    window_minutes = models.PositiveIntegerField(default=60)
    count_by = models.CharField(max_length=8, choices=[("session", "session"), ("visitor", "visitor")], default="session")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name", "version"], name="one_funnel_version")]

    def definition(self) -> FunnelDef:
        """The frozen form the stages use."""
        return FunnelDef(
            id=self.pk,
            project_id=self.project_id,
            name=self.name,
            version=self.version,
            steps=tuple(_step(row) for row in self.steps),
            window_minutes=self.window_minutes,
            count_by=self.count_by,
            exclusions=tuple(_step(row) for row in self.exclusions),
            combinations=tuple(map(parse_combination, self.project.combinations)),
        )


def _step(row: dict) -> Step:
    filters = tuple(
        PropertyFilter(item["property"], tuple(item["values"]), bool(item.get("negate"))) for item in row.get("filters", ())
    )
    return Step(name=row["name"], events=tuple(row["events"]), filters=filters)


def steps_to_json(steps: tuple[Step, ...]) -> list[dict]:
    """The JSON form of `Funnel.steps`."""
    return [
        {
            "name": step.name,
            "events": list(step.events),
            "filters": [{"property": f.property, "values": list(f.values), "negate": f.negate} for f in step.filters],
        }
        for step in steps
    ]


class Channel(models.Model):
    """Where alerts go. `kind` is a key of alert.CHANNELS, `config` what that channel needs (tokens are never sent back by the API)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=60)
    config = models.JSONField(default=dict)
    min_severity = models.CharField(max_length=8, default="low")
    created_at = models.DateTimeField(default=clock.now)
    disabled_reason = models.CharField(max_length=300, blank=True, help_text="Why a permanent failure switched it off.")


class Connector(models.Model):
    """A source of changes or orders by webhook. The id is in the URL; the signature made with `secret` is the proof."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="connectors")
    kind = models.CharField(max_length=30)
    hook_id = models.CharField(max_length=24, unique=True, default=_hook_id)
    secret = models.CharField(max_length=200, default=_secret)
    created_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)


class HookDelivery(models.Model):
    """A webhook, or an event of one, that was taken, so that a repeated or replayed one changes nothing."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="deliveries")
    key = models.CharField(max_length=64, help_text="SHA-256 of the body, of the sender's id for it, or of an event's id.")
    until = models.DateTimeField(help_text="From when on it is forgotten.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connector", "key"], name="one_hook_delivery")]
        indexes = [models.Index(fields=["connector", "until"])]


class ChangeRow(models.Model):
    """An entry of the change ledger. The same (source, external_id) updates, never duplicates."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=20, choices=[(kind, kind) for kind in CHANGE_KINDS])
    title = models.CharField(max_length=300)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    known_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=60)
    external_id = models.CharField(max_length=200)
    url = models.URLField(max_length=1000, blank=True)
    author = models.CharField(max_length=100, blank=True)
    scope = models.JSONField(default=dict, blank=True)
    planned = models.BooleanField(default=False)
    expected_effect = models.JSONField(null=True, blank=True)
    revert = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "source", "external_id"], name="one_change_a_source")]
        indexes = [models.Index(fields=["project", "started_at"])]

    def change(self) -> Change:
        """The frozen form diagnosis uses."""
        return Change(
            id=self.pk, kind=self.kind, title=self.title, started_at=self.started_at, source=self.source,
            external_id=self.external_id, ended_at=self.ended_at, known_at=self.known_at, url=self.url, author=self.author,
            scope={dimension: tuple(values) for dimension, values in self.scope.items()}, planned=self.planned,
            expected_effect=self.expected_effect, revert=self.revert,
        )  # fmt: skip


class AuditRow(models.Model):
    """Who did what, never changed afterwards."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="audit")
    at = models.DateTimeField(default=clock.now)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-at"])]
