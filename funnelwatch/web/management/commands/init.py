"""`funnelwatch init`."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser

from funnelwatch.core.funnel import default_steps, parse_steps
from funnelwatch.projects.setup import create_project
from funnelwatch.web.errors import Error
from funnelwatch.web.management.base import Command as Base
from funnelwatch.web.preparation import prepare_database
from funnelwatch.web.progress import Progress


class Command(Base):
    help = "Make a project with a funnel, a write key, an API token and an admin."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", required=True, help="letters, digits, - and _")
        parser.add_argument("--timezone", default="UTC", help="IANA name such as Europe/Berlin (default UTC)")
        parser.add_argument("--currency", default="EUR", help="ISO 4217 code (default EUR)")
        parser.add_argument("--funnel", help="steps such as 'view_item>add_to_cart>purchase' (default: the storefront's seven)")
        parser.add_argument("--admin-email", default="admin@localhost", help="default admin@localhost")

    def work(self, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        try:
            steps = parse_steps(options["funnel"]) if options["funnel"] else default_steps()
        except ValueError as error:
            raise Error(str(error)) from None
        prepare_database()
        try:
            made = create_project(
                options["project"], options["timezone"], options["currency"], steps, options["admin_email"]
            )
        except ValidationError as error:
            raise Error("; ".join(error.messages)) from None
        return {
            "project": made.project.name,
            "write_key": made.write_key,
            "api_token": made.api_token,
            "admin_email": made.admin_email,
            "admin_password": made.admin_password,
            "snippet": f'<script async src="{settings.PUBLIC_URL}/js/{made.write_key}.js"></script>',
        }

    def summary(self, result: dict[str, Any]) -> str:
        password = result["admin_password"] or "(as before)"
        return (
            f"Project {result['project']} is ready.\n"
            f"  write key  {result['write_key']}\n"
            f"  API token  {result['api_token']}   (shown only now)\n"
            f"  sign in    {result['admin_email']} / {password}   (shown only now)\n"
            f"  in the shop's pages, before </head>:\n    {result['snippet']}"
        )
