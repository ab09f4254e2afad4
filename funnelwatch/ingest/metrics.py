"""Counters of this process's ingest, and their Prometheus text."""

from collections import Counter


class Metrics:
    """Touched by the event loop only, read from anywhere."""

    def __init__(self) -> None:
        self.accepted: Counter[int] = Counter()
        self.rejected: Counter[tuple[int, str]] = Counter()
        self.responses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()

    def took(self, project_id: int, accepted: int, rejected: dict[str, int]) -> None:
        """Count one durable request."""
        self.accepted[project_id] += accepted
        for reason, count in rejected.items():
            self.rejected[project_id, reason] += count

    def answered(self, status: int) -> None:
        """Count one answer."""
        self.responses[status] += 1

    def refused(self, code: str) -> None:
        """Count one refused request by its code."""
        self.refusals[code] += 1
