"""What people may change about a shop, checked."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from funnelwatch.alert.channel import CHANNELS, check_config
from funnelwatch.changes.connector import CONNECTORS
from funnelwatch.core import retention
from funnelwatch.core.vocabulary import SEVERITIES
from funnelwatch.projects.models import Channel, Member, Project

#: What each kind of channel asks for: (field, label, secret, placeholder). Required ones come from the channel's own module.
CHANNEL_FIELDS = {
    "slack": (
        ("channel", "Channel", False, "#checkout-alerts"),
        ("token", "Bot token", True, "xoxb-…"),
        ("signing_secret", "Signing secret, for buttons in messages (optional)", True, ""),
    ),
    "pagerduty": (("routing_key", "Integration key (Events API v2)", True, ""),),
    "email": (("to", "Addresses, separated by commas", False, "oncall@example.com"),),
    "webhook": (("url", "Address", False, "https://example.com/hook"), ("secret", "Signing secret", True, "")),
}


class ProjectForm(forms.ModelForm):
    """Name, zone, currency and how long data is kept."""

    retention_days = forms.TypedChoiceField(coerce=int, choices=[(days, days) for days in retention.TIERS], label="Days data is kept")

    class Meta:
        model = Project
        fields = ("title", "timezone", "currency", "retention_days")


class Listed(forms.CharField):
    """Texts, separated by commas or line breaks."""

    def to_python(self, value: Any) -> list[str]:
        """The list, without empty ones."""
        return [part.strip() for part in super().to_python(value).replace("\n", ",").split(",") if part.strip()]


class PrivacyForm(forms.ModelForm):
    """Whose events are kept, and what of them."""

    property_deny_list = Listed(max_length=10_000, required=False, label="Properties never stored")
    excluded_addresses = Listed(max_length=10_000, required=False, label="Addresses not counted")

    class Meta:
        model = Project
        fields = ("honour_dnt", "honour_gpc", "require_consent", "property_deny_list", "excluded_addresses")


class CohortForm(forms.ModelForm):
    """What the funnels are cut by besides the usual dimensions and combinations."""

    combinations = Listed(max_length=1_000, required=False, label="Combinations")

    class Meta:
        model = Project
        fields = ("combinations",)


class KeyForm(forms.Form):
    """A write key."""

    name = forms.CharField(max_length=60)
    origins = forms.CharField(max_length=1000, required=False)

    def clean_origins(self) -> list[str]:
        """Origins as browsers send them: scheme and host, no path."""
        origins = [part.strip().rstrip("/") for part in self.cleaned_data["origins"].split(",") if part.strip()]
        wrong = [origin for origin in origins if not origin.startswith(("http://", "https://")) or origin.count("/") != 2]
        if wrong:
            raise ValidationError(f"Write an origin like https://shop.example.com, not {wrong[0]}")
        return origins


class TokenForm(forms.Form):
    """An API token."""

    name = forms.CharField(max_length=60)
    role = forms.ChoiceField(choices=Member.Role.choices)


class MemberForm(forms.Form):
    """A person and the role."""

    username = forms.CharField(max_length=150)
    role = forms.ChoiceField(choices=Member.Role.choices)


class ConnectorForm(forms.Form):
    """A source of changes or orders."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in CONNECTORS])


class ChannelForm(forms.Form):
    """A channel of one kind; which fields there are depends on it."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in CHANNELS])
    name = forms.CharField(max_length=60)
    min_severity = forms.ChoiceField(choices=[(name, name) for name in SEVERITIES])

    def clean(self) -> dict[str, Any]:
        """Adds `config`; raises ValidationError with what the kind needs."""
        cleaned = super().clean()
        names = [field for field, *_ in CHANNEL_FIELDS.get(cleaned.get("kind", ""), ())]
        config: dict[str, Any] = {name: self.data.get(name, "").strip()[:1000] for name in names if self.data.get(name, "").strip()}
        if cleaned.get("kind") == "email" and "to" in config:
            config["to"] = [part.strip() for part in config["to"].split(",") if part.strip()]
        try:
            check_config(cleaned.get("kind", ""), config)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return cleaned | {"config": config}

    def save(self, project: Project) -> Channel:
        """The new channel."""
        return Channel.objects.create(project=project, **{name: self.cleaned_data[name] for name in ("kind", "name", "min_severity", "config")})
