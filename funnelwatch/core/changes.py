"""Entries of the change ledger: deploys, campaigns, flags, prices, stock, third parties."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from funnelwatch.core.vocabulary import ChangeKind


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `scope` maps a dimension to the values it reached (empty = everyone). Times aware UTC.

    `known_at` is when we learned of it; a replay sees it from then on (absent: from `started_at`).
    """

    id: int
    kind: ChangeKind
    title: str
    started_at: datetime
    source: str
    external_id: str
    ended_at: datetime | None = None
    known_at: datetime | None = None
    url: str = ""
    author: str = ""
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: bool = False
    expected_effect: Mapping[str, Any] | None = None
    revert: Mapping[str, Any] | None = None
