"""What people do to an incident: acknowledge, take over, end, comment, judge. Pages and API both act through here.

Every act is one transaction: a conditional update (so that of two people who press at once one wins and the other is
told), a timeline row, an audit row, and rows for the channels that have to hear of it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from funnelwatch.core import clock
from funnelwatch.incidents import deliveries
from funnelwatch.incidents.models import Feedback, Incident, TimelineEntry
from funnelwatch.projects.models import AuditRow

OPEN = ("open", "acknowledged", "mitigated")
CLOSED = ("resolved", "expected", "false_alarm")

#: From which statuses a person may move an incident to the key, and what the timeline calls it.
_MOVES = {
    "acknowledged": (("open",), "acknowledged", "Acknowledged"),
    "mitigated": (("open", "acknowledged"), "recovering", "Marked as recovering"),
    "resolved": (OPEN, "resolved", "Resolved"),
    "expected": ((*OPEN, "resolved", "false_alarm"), "feedback", "Marked as an expected event"),
    "false_alarm": ((*OPEN, "resolved", "expected"), "feedback", "Marked as a false alarm"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a member, or a program by its token (then `user` is None)."""

    name: str
    user: AbstractBaseUser | None = None


class ActedFirst(Exception):
    """Someone else was faster; `str()` says who, `at` when (None where the timeline does not know)."""

    def __init__(self, message: str, at: datetime | None) -> None:
        super().__init__(message)
        self.at = at


class NotPossible(ValueError):
    """The incident's status does not allow this."""


def set_status(incident: Incident, status: str, actor: Actor, note: str = "") -> None:
    """Move to `status`. Raises ActedFirst when it is there already, NotPossible when no such move exists."""
    if status not in _MOVES:
        raise NotPossible(f"An incident cannot be set to {status!r}; choose one of {', '.join(_MOVES)}.")
    sources, kind, text = _MOVES[status]
    changes: dict[str, object] = {"status": status}
    if status in CLOSED:
        changes["resolved_at"] = incident.resolved_at or clock.now()
    with transaction.atomic():
        if not Incident.objects.filter(pk=incident.pk, status__in=sources).update(**changes):
            incident.refresh_from_db()
            raise _refusal(incident, status, kind)
        incident.refresh_from_db()
        _record(incident, actor, kind, f"{text}: {note}" if note else text, {"status": status})
        _tell(incident)


def assign(incident: Incident, user: AbstractBaseUser, actor: Actor, seen: int | None) -> None:
    """Make `user` the owner if the owner is still `seen` (a user id or None). Raises ActedFirst otherwise."""
    with transaction.atomic():
        if not Incident.objects.filter(pk=incident.pk, assignee_id=seen).update(assignee=user):
            incident.refresh_from_db()
            owner = incident.assignee.get_username() if incident.assignee else "nobody"
            raise ActedFirst(f"{owner} owns this incident already.", None)
        _record(incident, actor, "comment", f"Assigned to {user.get_username()}", {"assignee": user.get_username()})
    incident.refresh_from_db()


def comment(incident: Incident, text: str, actor: Actor) -> None:
    """Add a note to the timeline. Raises NotPossible for an empty one."""
    text = text.strip()[:1000]
    if not text:
        raise NotPossible("A note needs some text.")
    with transaction.atomic():
        _record(incident, actor, "comment", text, {})


def judge(incident: Incident, verdict: str, actor: Actor, note: str = "") -> Feedback:
    """Say whether the alert was right (`real`, `false_alarm`, `expected`). The last word of a person counts. Returns the answer kept.

    A false alarm or an expected event withdraws the incident; calling it real takes such a withdrawal back.
    Raises NotPossible for another verdict.
    """
    texts = {"real": "Marked as a real problem", "false_alarm": "Marked as a false alarm", "expected": "Marked as an expected event"}
    if verdict not in texts:
        raise NotPossible(f"A verdict is one of {', '.join(texts)}, not {verdict!r}.")
    with transaction.atomic():
        row = Feedback.objects.create(incident=incident, user=actor.user, verdict=verdict, note=note[:1000])
        if verdict == "real":
            Incident.objects.filter(pk=incident.pk, status__in=("expected", "false_alarm")).update(status="resolved")
        else:
            was_open = incident.is_open
            Incident.objects.filter(pk=incident.pk).update(status=verdict, resolved_at=incident.resolved_at or clock.now())
            incident.refresh_from_db()
            if was_open:
                _tell(incident)
        _record(incident, actor, "feedback", f"{texts[verdict]}: {note}" if note else texts[verdict], {"verdict": verdict})
    incident.refresh_from_db()
    return row


def _refusal(incident: Incident, status: str, kind: str) -> Exception:
    if incident.status == status:
        entry = incident.timeline.filter(kind=kind).last()
        name = entry.actor if entry else "Someone"
        return ActedFirst(f"{name} was first: this incident is {status.replace('_', ' ')} already.", entry.at if entry else None)
    return NotPossible(f"INC-{incident.pk} is {incident.status.replace('_', ' ')}; it cannot become {status.replace('_', ' ')}.")


def _tell(incident: Incident) -> None:
    """News for the channels that heard of the opening: someone takes care, or it is over."""
    if incident.status == "acknowledged":
        deliveries.follow_up(incident, "acknowledged", clock.now())
    elif incident.status in CLOSED:
        deliveries.follow_up(incident, "resolved", clock.now())


def _record(incident: Incident, actor: Actor, kind: str, text: str, data: dict[str, str]) -> None:
    now = clock.now()
    TimelineEntry.objects.create(incident=incident, at=now, kind=kind, text=text[:1000], actor=actor.name, data=data)
    AuditRow.objects.create(
        project_id=incident.project_id, at=now, actor=actor.name, action=f"incident.{kind}", target=f"INC-{incident.pk}", data={"text": text} | data
    )
