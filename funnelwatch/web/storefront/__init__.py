"""The demo's shop: a real page with the real SDK, to click through and to test with."""
