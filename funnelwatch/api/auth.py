"""Who asks: a bearer token of one project, or a signed-in member."""

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from funnelwatch.core import clock
from funnelwatch.projects.models import ApiToken


class TokenUser:
    """Stands in `request.user` for a program; it is bound to the token's project."""

    is_authenticated = True
    is_anonymous = False
    pk = None

    def __init__(self, token: ApiToken) -> None:
        self.token = token

    def __str__(self) -> str:
        return f"token {self.token.name}"


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer fw_...`."""

    def authenticate(self, request: Request) -> tuple[TokenUser, ApiToken] | None:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            return None
        digest = ApiToken.digest_of(header.removeprefix("Bearer ").strip())
        token = ApiToken.objects.select_related("project").filter(digest=digest, revoked_at=None).first()
        if token is None:
            raise exceptions.AuthenticationFailed("This token is not known or was revoked. Make one with 'funnelwatch init' or in Settings.")
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=clock.now())
        return TokenUser(token), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
