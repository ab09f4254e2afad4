"""Token buckets: a project may send a burst above its long-run rate, and no project can starve another."""

from msgspec import Struct


class Bucket(Struct, gc=False):
    """Tokens left and when they were counted, in seconds of a monotonic clock."""

    tokens: float
    at: float


class RateLimit:
    """One bucket a project, kept in the process: with several web processes each gives the whole rate."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second, self.burst = per_second, burst
        self._buckets: dict[int, Bucket] = {}

    def take(self, project_id: int, count: int, now: float) -> float:
        """Take `count` tokens and return 0, or the seconds to wait. Taking more than the bucket ever holds empties a full one."""
        bucket = self._buckets.get(project_id)
        if bucket is None:
            bucket = self._buckets[project_id] = Bucket(self.burst, now)
        tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.per_second)
        bucket.at = now
        if tokens >= min(count, self.burst):
            bucket.tokens = tokens - count
            return 0.0
        bucket.tokens = tokens
        return (min(count, self.burst) - tokens) / self.per_second
