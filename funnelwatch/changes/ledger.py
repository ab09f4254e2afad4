"""The change ledger: what changed, when, for whom. The same (source, external id) updates and never duplicates."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from funnelwatch.core.changes import Change
from funnelwatch.core.vocabulary import CHANGE_KINDS, DIMENSIONS
from funnelwatch.projects.models import ChangeRow, Project

_TEXTS = {"title": 300, "source": 60, "external_id": 200, "author": 100}
_TIMES = ("started_at", "ended_at", "known_at")
_REQUIRED = ("kind", "title", "started_at", "source", "external_id")
_METRICS = ("conversion", "errors", "volume", "revenue", "latency")
_DIRECTIONS = ("up", "down", "increase", "decrease")
_FIELDS = (*_REQUIRED, "ended_at", "known_at", "url", "author", "scope", "planned", "expected_effect", "revert")


class InvalidChange(ValueError):
    """Fields that cannot be taken. `errors` maps each to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors.items()))
        self.errors = errors


def clean(row: object) -> dict[str, Any]:
    """The columns of a change as the contract writes it; keys it does not name are left out. Raises InvalidChange."""
    if not isinstance(row, Mapping):
        raise InvalidChange({"change": "must be a JSON object"})
    fields: dict[str, Any] = {}
    errors = {name: "is missing" for name in _REQUIRED if row.get(name) in (None, "")}
    for name in _FIELDS:
        if row.get(name) is not None and name not in errors:
            try:
                fields[name] = _read(name, row[name])
            except ValueError as error:
                errors[name] = str(error)
    if not errors and "ended_at" in fields and fields["ended_at"] < fields["started_at"]:
        errors["ended_at"] = "is before started_at"
    if errors:
        raise InvalidChange(errors)
    return fields


def upsert(project: Project, fields: Mapping[str, Any]) -> tuple[ChangeRow, bool]:
    """Insert or update what `clean` gave; True when it is new. Optional fields that are not given keep their value."""
    identity = {"project": project, "source": fields["source"], "external_id": fields["external_id"]}
    return ChangeRow.objects.update_or_create(**identity, defaults=dict(fields))


def import_lines(
    project: Project, lines: Iterable[bytes], progress: Callable[[int], None] = lambda read: None
) -> dict[str, Any]:
    """Take JSONL: `{read, imported, updated, rejected, errors}`, the errors being the first 20 as `line 3: ...`."""
    counts: dict[str, Any] = {"read": 0, "imported": 0, "updated": 0, "rejected": 0}
    errors: list[str] = []
    with transaction.atomic():
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            counts["read"] += 1
            try:
                _, new = upsert(project, clean(json.loads(line)))
                counts["imported" if new else "updated"] += 1
            except ValueError as error:  # also what json and InvalidChange raise
                counts["rejected"] += 1
                if len(errors) < 20:
                    errors.append(f"line {number}: {error}")
            progress(counts["read"])
    return counts | {"errors": errors}


def near(project: Project, start: datetime, end: datetime, as_of: datetime) -> list[Change]:
    """Changes that began or ended in [start, end], as they were known at `as_of`; oldest first.

    A change is known from `known_at`, else from when it started; an end that lies ahead is known only of what was planned.
    """
    ended = Q(ended_at__gte=start, ended_at__lte=end) & (Q(ended_at__lte=as_of) | Q(planned=True))
    rows = (
        ChangeRow.objects.annotate(known=Coalesce(F("known_at"), F("started_at")))
        .filter(Q(started_at__gte=start, started_at__lte=end) | ended, project=project, known__lte=as_of)
        .order_by("started_at", "pk")
    )
    return [_as_known(row.change(), as_of) for row in rows]


def _as_known(change: Change, as_of: datetime) -> Change:
    unknown_end = change.ended_at is not None and change.ended_at > as_of and not change.planned
    return replace(change, ended_at=None) if unknown_end else change


def _read(name: str, value: object) -> Any:
    if name == "kind":
        return _one_of(value, CHANGE_KINDS)
    if name in _TEXTS:
        return _text(value, _TEXTS[name])
    if name in _TIMES:
        return _time(value)
    if name == "planned":
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    return {"url": _url, "scope": _scope, "expected_effect": _effect, "revert": _object}[name](value)


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}")
    return str(value)


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("must be text")
    if len(value) > limit:
        raise ValueError(f"is longer than {limit} characters")
    return value


def _time(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an ISO 8601 time with its zone, like 2026-03-02T14:25:00Z")


def _url(value: object) -> str:
    text = _text(value, 1000)
    if text and urlsplit(text).scheme not in ("http", "https"):
        raise ValueError("must be an http or https address")
    return text


def _scope(value: object) -> dict[str, list[str]]:
    if not isinstance(value, Mapping):
        raise ValueError('must be like {"browser": ["Safari"]}')
    unknown = set(value) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"knows no dimension {', '.join(sorted(map(str, unknown)))}")
    scope = {name: [values] if isinstance(values, str) else values for name, values in value.items()}
    if not all(isinstance(values, list) and all(isinstance(text, str) for text in values) for values in scope.values()):
        raise ValueError("must map each dimension to a list of texts")
    return {name: values for name, values in scope.items() if values}


def _effect(value: object) -> dict[str, Any]:
    effect = _object(value)
    size = effect.get("size")
    if effect.get("metric") not in _METRICS or effect.get("direction") not in _DIRECTIONS:
        raise ValueError(f"needs a metric ({', '.join(_METRICS)}) and a direction (up, down)")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int | float)):
        raise ValueError("size must be a number, 0.2 for 20 %")
    return effect


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object")
    return dict(value)
