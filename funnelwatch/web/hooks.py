"""What other parts of the process have to say to `/readyz` and `/metrics`; whoever starts the process registers it here."""

from collections.abc import Callable

#: Prometheus text each.
metrics: list[Callable[[], str]] = []

#: Name of a check -> a function that returns what is wrong, or an empty string.
checks: dict[str, Callable[[], str]] = {}
