"""FunnelWatch: finds a leaking shop funnel within minutes and names the cause, the cost and the remedy."""

__version__ = "0.1.0"
