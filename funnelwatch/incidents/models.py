"""The incident and everything that hangs on it. Hand-overs between stages are rows here with a "done" mark."""

from django.conf import settings
from django.db import models

from funnelwatch.core import clock
from funnelwatch.core.vocabulary import INCIDENT_KINDS, INCIDENT_STATUSES, SEVERITIES
from funnelwatch.projects.models import ChangeRow, Channel, Project


def _choices(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


class Incident(models.Model):
    """One fault. `run_id` is empty for live incidents and names the replay otherwise. Rates and times as CONTRACT's JSON."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="incidents")
    run_id = models.CharField(max_length=40, blank=True, default="")
    status = models.CharField(max_length=14, choices=_choices(INCIDENT_STATUSES), default="open")
    severity = models.CharField(max_length=8, choices=_choices(SEVERITIES))
    kind = models.CharField(max_length=10, choices=_choices(INCIDENT_KINDS))
    title = models.CharField(max_length=300)
    funnel = models.CharField(max_length=60)
    funnel_version = models.PositiveIntegerField(default=1)
    step = models.CharField(max_length=200)
    metric = models.CharField(max_length=20)
    cohort = models.JSONField(default=list)
    started_at = models.DateTimeField()
    started_lo = models.DateTimeField()
    started_hi = models.DateTimeField()
    detected_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(help_text="The last minute in which the fault was still seen.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    expected = models.FloatField()
    observed = models.FloatField()
    interval_lo = models.FloatField()
    interval_hi = models.FloatField()
    effect = models.FloatField()
    probability = models.FloatField()
    impact = models.JSONField(default=dict)
    detectors = models.JSONField(default=list)
    narrowing = models.JSONField(default=list, help_text="From everyone to the cohort: how it was found.")
    chart = models.JSONField(default=dict, help_text="What the incident page draws: IncidentChart in web/payloads.py.")
    assignee = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    similar = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "run_id", "-started_at"]),
            models.Index(fields=["project", "run_id", "status"]),
        ]

    def __str__(self) -> str:
        return f"INC-{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in ("open", "acknowledged", "mitigated")


class Cause(models.Model):
    """A ranked cause, or a rejected one when `rejected` says why."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="causes")
    rank = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    change = models.ForeignKey(ChangeRow, on_delete=models.SET_NULL, null=True, blank=True)
    external_id = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=300)
    probability = models.FloatField()
    evidence = models.JSONField(default=list)
    rejected = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["rank"]


class TimelineEntry(models.Model):
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    text = models.CharField(max_length=1000)
    actor = models.CharField(max_length=150, default="FunnelWatch")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["at", "pk"]


class Delivery(models.Model):
    """A message to be sent once. `dedup_key` makes a repeated job write no second row; `sent_at` is the "done" mark."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20, help_text="opened | updated | escalated | acknowledged | resolved")
    severity = models.CharField(max_length=8, choices=_choices(SEVERITIES), help_text="The incident's when the row was written.")
    dedup_key = models.CharField(max_length=300, unique=True)
    created_at = models.DateTimeField(default=clock.now)
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="A sender owns the row until then.")
    next_try_at = models.DateTimeField(default=clock.now)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True, help_text="Given up: a permanent error.")
    error = models.CharField(max_length=500, blank=True)
    external_ref = models.CharField(max_length=200, blank=True, help_text="Slack ts, PagerDuty dedup key.")

    class Meta:
        indexes = [models.Index(fields=["sent_at", "failed_at", "next_try_at"])]


class Feedback(models.Model):
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="feedback")
    at = models.DateTimeField(default=clock.now)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    verdict = models.CharField(max_length=12, choices=_choices(("real", "false_alarm", "expected")))
    note = models.CharField(max_length=1000, blank=True)


class PlaybookStep(models.Model):
    """A step of the playbook that was attached to an incident when it opened; done or still to do."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="playbook")
    position = models.PositiveIntegerField()
    playbook = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=500, blank=True)
    automatic = models.BooleanField(default=False)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["incident", "position"], name="one_step_a_position")]
