"""Headers every page carries."""
