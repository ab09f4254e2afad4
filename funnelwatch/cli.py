"""Console entry point: reads `--data` before Django's settings exist, then runs the management command."""

import os
import sys


def main() -> None:
    """Run `funnelwatch COMMAND ...` (or `python manage.py COMMAND ...`)."""
    argv = list(sys.argv)
    data = _take_option(argv, "--data")
    if data:
        os.environ["FUNNELWATCH_DATA"] = data
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "funnelwatch.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)


def _take_option(argv: list[str], name: str) -> str | None:
    """Remove `name VALUE` or `name=VALUE` from `argv` and return the value."""
    for index, argument in enumerate(argv):
        if argument == name:
            if index + 1 == len(argv):
                sys.exit(f"{name} needs a folder, for example: {name} ./var")
            value = argv[index + 1]
            del argv[index : index + 2]
            return value
        if argument.startswith(name + "="):
            del argv[index]
            return argument.split("=", 1)[1]
    return None
