"""Rows as JSON. Secrets go in and never come out; times are ISO 8601 UTC."""

from typing import Any

from rest_framework import serializers

from funnelwatch.alert.channel import check_config
from funnelwatch.changes.connector import CONNECTORS
from funnelwatch.core import retention
from funnelwatch.core.vocabulary import CHANGE_KINDS, SEVERITIES
from funnelwatch.incidents.models import Delivery, Feedback, PlaybookStep
from funnelwatch.projects.funnels import Draft, Wrong
from funnelwatch.projects.models import (
    ApiToken,
    AuditRow,
    ChangeRow,
    Channel,
    Connector,
    Funnel,
    Member,
    Project,
    WriteKey,
)
from funnelwatch.store.queries import coverage


class ProjectSerializer(serializers.ModelSerializer):
    """`retention_days` acts on what comes from then on; what is stored keeps the days it came with."""

    retention_days = serializers.ChoiceField(choices=retention.TIERS, required=False)

    class Meta:
        model = Project
        fields = (
            "id", "name", "title", "timezone", "currency", "honour_dnt", "honour_gpc", "require_consent", "property_deny_list",
            "excluded_addresses", "combinations", "retention_days", "created_at",
        )  # fmt: skip
        read_only_fields = ("name", "created_at")


class EraseSerializer(serializers.Serializer):
    """`person`, or `from` and `to`."""

    person = serializers.CharField(max_length=1000, required=False, help_text="The user or anonymous id the shop sends.")
    dry_run = serializers.BooleanField(default=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        times = {name: serializers.DateTimeField(required=False, source=source) for name, source in (("from", "start"), ("to", "end"))}
        return super().get_fields() | times  # "from" is no name Python lets a class have

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        times = [data[name] for name in ("start", "end") if name in data]
        if len(times) == (0 if "person" in data else 2) and times == sorted(set(times)):
            return data
        raise serializers.ValidationError("Say what to erase: person, or from and a later to.")


class KeySerializer(serializers.ModelSerializer):
    allowed_origins = serializers.ListField(child=serializers.RegexField(r"^https?://[^/]+$"), required=False)

    class Meta:
        model = WriteKey
        fields = ("id", "key", "name", "allowed_origins", "created_at", "revoked_at")
        read_only_fields = ("key", "created_at", "revoked_at")


class TokenSerializer(serializers.ModelSerializer):
    """`token` is there in the answer that makes it, and never again."""

    token = serializers.CharField(read_only=True, required=False)

    class Meta:
        model = ApiToken
        fields = ("id", "name", "role", "hint", "token", "created_at", "last_used_at", "revoked_at")
        read_only_fields = ("hint", "created_at", "last_used_at", "revoked_at")


class MemberSerializer(serializers.ModelSerializer):
    username = serializers.CharField(source="user.username")
    email = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = Member
        fields = ("id", "username", "email", "role")


class FunnelSerializer(serializers.ModelSerializer):
    """`steps` is a list of `{name, events, filters: [{property, values, negate}]}` or the short form `"a>b>c"`; so are `exclusions`, without it."""

    steps = serializers.JSONField()
    exclusions = serializers.JSONField(default=list)

    class Meta:
        model = Funnel
        fields = ("id", "name", "version", "steps", "exclusions", "window_minutes", "count_by", "active", "created_at")
        read_only_fields = ("version", "active", "created_at")
        validators = ()  # the same name again is the next version

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"draft": Draft.of(data)}
        except Wrong as wrong:
            raise serializers.ValidationError({wrong.field: [str(wrong)]}) from wrong


class ChangeSerializer(serializers.ModelSerializer):
    """Answers and documentation; what comes in is checked by `changes.ledger`, as in every other way in."""

    kind = serializers.ChoiceField(choices=CHANGE_KINDS)

    class Meta:
        model = ChangeRow
        fields = (
            "id", "kind", "title", "started_at", "ended_at", "known_at", "source", "external_id", "url", "author", "scope", "planned",
            "expected_effect", "revert",
        )  # fmt: skip
        validators = ()  # the same (source, external_id) again is an update


class ConnectorSerializer(serializers.ModelSerializer):
    """`secret` is there in the answer that makes it, and never again."""

    kind = serializers.ChoiceField(choices=list(CONNECTORS))
    path = serializers.SerializerMethodField()

    class Meta:
        model = Connector
        fields = ("id", "kind", "hook_id", "path", "created_at", "last_seen_at", "disabled_at")
        read_only_fields = ("hook_id", "created_at", "last_seen_at", "disabled_at")

    def get_path(self, connector: Connector) -> str:
        return f"/hooks/{connector.kind}/{connector.hook_id}"


class ChannelSerializer(serializers.ModelSerializer):
    """`config` is written, never read."""

    config = serializers.JSONField(write_only=True)
    min_severity = serializers.ChoiceField(choices=SEVERITIES, default="low")

    class Meta:
        model = Channel
        fields = ("id", "kind", "name", "config", "min_severity", "disabled_reason", "created_at")
        read_only_fields = ("disabled_reason", "created_at")

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        kind = data.get("kind") or self.instance.kind
        config = data.get("config", self.instance.config if self.instance else {})
        if not isinstance(config, dict):
            raise serializers.ValidationError({"config": ["This is an object."]})
        try:
            check_config(kind, config)
        except ValueError as error:
            raise serializers.ValidationError({"config": [str(error)]}) from error
        return data


class DeliverySerializer(serializers.ModelSerializer):
    channel = serializers.CharField(source="channel.name")
    kind = serializers.CharField(source="channel.kind")

    class Meta:
        model = Delivery
        fields = ("id", "incident", "channel", "kind", "event", "created_at", "attempts", "next_try_at", "sent_at", "failed_at", "error", "external_ref")


class PlaybookStepSerializer(serializers.ModelSerializer):
    class Meta:
        model = PlaybookStep
        fields = ("id", "incident", "position", "playbook", "title", "detail", "automatic", "done_at")


class FeedbackSerializer(serializers.ModelSerializer):
    user = serializers.CharField(source="user.username", read_only=True, default=None)

    class Meta:
        model = Feedback
        fields = ("id", "incident", "verdict", "note", "user", "at")
        read_only_fields = ("at",)


class AuditSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditRow
        fields = ("id", "at", "actor", "action", "target", "data")


class CoverageRowSerializer(serializers.Serializer):
    """Orders of one value of a dimension."""

    dimension = serializers.ChoiceField(choices=("", *coverage.DIMENSIONS))
    value = serializers.CharField(allow_blank=True)
    server = serializers.IntegerField(help_text="Orders the shop's servers report.")
    both = serializers.IntegerField(help_text="Those of them the SDK saw.")
    browser_only = serializers.IntegerField(help_text="Orders only the SDK saw.")
    coverage = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)


class CoverageSerializer(serializers.Serializer):
    """Whole minutes `[from, to)` and the orders in them."""

    results = CoverageRowSerializer(many=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        """`from` is a word of Python's."""
        return {"from": serializers.DateTimeField(), "to": serializers.DateTimeField(), **super().get_fields()}


class IncidentUpdateSerializer(serializers.Serializer):
    """What may be changed of an incident."""

    status = serializers.ChoiceField(choices=("acknowledged", "mitigated", "resolved", "expected", "false_alarm"), required=False)
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True)
