"""Where each address is answered. Ingest's own addresses are answered before Django, in asgi.py."""

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from funnelwatch.alert import slack_actions
from funnelwatch.web.views import (
    auth,
    changes,
    funnel,
    funnel_edit,
    health,
    hooks,
    incident,
    incidents,
    live,
    overview,
    probes,
    sdk,
)
from funnelwatch.web.views import settings as setup

handler400 = "funnelwatch.web.views.errors.bad_request"
handler403 = "funnelwatch.web.views.errors.forbidden"
handler404 = "funnelwatch.web.views.errors.not_found"
handler500 = "funnelwatch.web.views.errors.failed"

setup_patterns = [
    path("", setup.show, name="settings"),
    path("project/", setup.project, name="project-save"),
    path("privacy/", setup.privacy, name="privacy-save"),
    path("cohorts/", setup.cohorts, name="cohorts-save"),
    path("keys/", setup.key_new, name="key-new"),
    path("keys/<int:pk>/rotate/", setup.key_rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke/", setup.key_revoke, name="key-revoke"),
    path("tokens/", setup.token_new, name="token-new"),
    path("tokens/<int:pk>/revoke/", setup.token_revoke, name="token-revoke"),
    path("funnels/", funnel_edit.show, name="funnel-new"),
    path("funnels/<str:name>/", funnel_edit.show, name="funnel-edit"),
    path("channels/", setup.channel_new, name="channel-new"),
    path("channels/<int:pk>/test/", setup.channel_test, name="channel-test"),
    path("channels/<int:pk>/delete/", setup.channel_delete, name="channel-delete"),
    path("connectors/", setup.connector_new, name="connector-new"),
    path("connectors/<int:pk>/disable/", setup.connector_disable, name="connector-disable"),
    path("members/", setup.member_new, name="member-new"),
    path("members/<int:pk>/remove/", setup.member_remove, name="member-remove"),
]

project_patterns = [
    path("", overview.show, name="overview"),
    path("incidents/", incidents.show, name="incidents"),
    path("funnel/", funnel.show, name="funnel"),
    path("changes/", changes.show, name="changes"),
    path("live/", live.show, name="live"),
    path("health/", health.show, name="health"),
    path("settings/", include(setup_patterns)),
]

urlpatterns = [
    path("", auth.home, name="home"),
    path("login/", auth.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("p/<slug:slug>/", include(project_patterns)),
    path("incidents/<int:pk>/", incident.show, name="incident"),
    path("incidents/<int:pk>/status/", incident.status, name="incident-status"),
    path("incidents/<int:pk>/assign/", incident.assign, name="incident-assign"),
    path("incidents/<int:pk>/comment/", incident.comment, name="incident-comment"),
    path("incidents/<int:pk>/feedback/", incident.judge, name="incident-feedback"),
    path("js/<str:write_key>.js", sdk.loader, name="sdk-loader"),
    path("sdk/<str:name>", sdk.file, name="sdk-file"),
    path("hooks/<str:kind>/<str:hook_id>", hooks.receive, name="hook"),
    path("slack/<int:channel_id>/actions", slack_actions.receive, name="slack-actions"),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("api/", include("funnelwatch.api.urls")),
]

if settings.DEMO:
    urlpatterns.append(path("demo/", include("funnelwatch.web.storefront.urls")))
