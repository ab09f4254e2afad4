"""What the engine says of itself."""

from funnelwatch.store.client import Client


def about(client: Client) -> tuple[str, int]:
    """The engine's version and its clock in epoch milliseconds."""
    ((version, now_ms),) = client.query("SELECT version(), toUnixTimestamp64Milli(now64(3))")
    return version, now_ms
