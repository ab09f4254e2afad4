"""The demo: FunnelWatch with a simulated shop that is open for business, and something wrong in its checkout."""
