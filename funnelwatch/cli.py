"""Console entry point: reads `--data` before Django's settings exist, then runs the management command."""

import os
import sys

USAGE = """usage: funnelwatch COMMAND [--data DIR] [--json] ...      (funnelwatch COMMAND --help says more)

  up               run everything in one process
  init             make a project with its keys and an admin
  import           take in history from a file
  changes import   take in deploys, campaigns and other changes from a file
  replay           run detection over stored history
  incidents        list a project's incidents
  simulate         write a simulated shop's events, with faults whose truth is known
  demo             a simulated shop, live, with an incident in progress
  doctor           check this installation
"""


def main() -> None:
    """Run `funnelwatch COMMAND ...` (or `python manage.py COMMAND ...`)."""
    argv = list(sys.argv)
    data = _take_option(argv, "--data")
    if data:
        os.environ["FUNNELWATCH_DATA"] = data
    if len(argv) < 2 or argv[1] in ("help", "-h", "--help"):
        print(USAGE, end="", file=sys.stderr if len(argv) < 2 else sys.stdout)
        sys.exit(len(argv) < 2)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "funnelwatch.settings")

    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.DATA_DIR  # noqa: B018  reads the settings now: Django would hide what is wrong behind "unknown command"
        execute_from_command_line(argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped.")


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
