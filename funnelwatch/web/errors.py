"""Mistakes of the person at the command line."""

from django.core.management import CommandError


class Error(CommandError):
    """A mistake or a state of affairs that its user can mend; the message is one line that says how."""
