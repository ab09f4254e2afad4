"""`/api/v1/` and its schema."""

from django.urls import include, path, re_path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework import exceptions, routers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from funnelwatch.api import data, setup, watch


@extend_schema(exclude=True)
class Nowhere(APIView):
    """An address that does not exist, as a problem instead of a page."""

    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: object, **kwargs: object) -> Response:
        raise exceptions.NotFound("There is no such address; the schema is at /api/schema/.")


router = routers.SimpleRouter()
router.trailing_slash = "/?"
for name, viewset in (
    ("projects", setup.Projects),
    ("keys", setup.Keys),
    ("tokens", setup.Tokens),
    ("members", setup.Members),
    ("funnels", setup.Funnels),
    ("channels", setup.Channels),
    ("connectors", setup.Connectors),
    ("changes", watch.Changes),
    ("incidents", watch.Incidents),
    ("deliveries", watch.Deliveries),
    ("playbooks", watch.Playbooks),
    ("feedback", watch.Feedbacks),
    ("audit", watch.Audit),
):
    router.register(name, viewset, basename=f"api-{name}")

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("v1/", include([*router.urls, re_path("^series/?$", data.Series.as_view()), re_path("^events/?$", data.Events.as_view()), re_path("^health/?$", data.Health.as_view()), re_path("^coverage/?$", data.Coverage.as_view())])),
    re_path(r"", Nowhere.as_view()),
]
