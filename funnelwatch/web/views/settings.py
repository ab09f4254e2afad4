"""Settings: everybody reads, admins change. Every change is an audit row."""

import secrets

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.forms import BaseForm, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from funnelwatch.alert.channel import DeliveryError
from funnelwatch.core import clock
from funnelwatch.projects.models import ApiToken, Channel, Connector, Member, WriteKey
from funnelwatch.web import forms, trial
from funnelwatch.web.data import settings as data
from funnelwatch.web.views.base import audit, back, needs, page, project_page
from funnelwatch.web.views.overview import snippet_of


@require_safe
@project_page
def show(request: HttpRequest) -> HttpResponse:
    """The page. A secret made by the last form is shown this once."""
    made = request.session.pop("made_once", None)
    return page(request, "web/settings.html", "settings", snippet=snippet_of(request), made=made, origin=request.build_absolute_uri("/").rstrip("/"), **data.context(request.project))


def _admin_form(view):
    """A form of the page that only an admin may send."""
    return require_POST(project_page(needs("admin")(view)))


@_admin_form
def project(request: HttpRequest) -> HttpResponse:
    return _change(request, forms.ProjectForm, "project", "Saved.")


@_admin_form
def privacy(request: HttpRequest) -> HttpResponse:
    return _change(request, forms.PrivacyForm, "privacy", "Events are handled this way within 2 seconds.")


@_admin_form
def cohorts(request: HttpRequest) -> HttpResponse:
    """What the funnels are cut by."""
    return _change(request, forms.CohortForm, "cohorts", "Counted from the next midnight (UTC) on.")


@_admin_form
def key_new(request: HttpRequest) -> HttpResponse:
    form = forms.KeyForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, "keys")
    key = WriteKey.objects.create(project=request.project, name=form.cleaned_data["name"], allowed_origins=form.cleaned_data["origins"])
    audit(request, "key.created", key.name, key=key.pk)
    return _done(request, "keys", f"Key {key.name} is alive within 2 seconds.")


@_admin_form
def key_rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """A second key beside the first, so that no event is lost while the shop changes over."""
    old = get_object_or_404(WriteKey, pk=pk, project=request.project, revoked_at=None)
    new = WriteKey.objects.create(project=request.project, name=old.name, allowed_origins=old.allowed_origins)
    audit(request, "key.rotated", old.name, old=old.pk, new=new.pk)
    return _done(request, "keys", f"{old.name} has a new key. Put it into the shop, then revoke the old one.")


@_admin_form
def key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    key = get_object_or_404(WriteKey, pk=pk, project=request.project, revoked_at=None)
    WriteKey.objects.filter(pk=key.pk).update(revoked_at=clock.now())
    audit(request, "key.revoked", key.name, key=key.pk)
    return _done(request, "keys", f"Key {key.name} is refused within 2 seconds.")


@_admin_form
def token_new(request: HttpRequest) -> HttpResponse:
    form = forms.TokenForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, "tokens")
    token, text = ApiToken.issue(request.project, **form.cleaned_data)
    audit(request, "token.created", token.name, token=token.pk, role=token.role)
    request.session["made_once"] = {"what": f"Token {token.name}", "text": text}
    return _done(request, "tokens", "Copy the token now; it is not shown again.")


@_admin_form
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, project=request.project, revoked_at=None)
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=clock.now())
    audit(request, "token.revoked", token.name, token=token.pk)
    return _done(request, "tokens", f"Token {token.name} is revoked.")


@_admin_form
def channel_new(request: HttpRequest) -> HttpResponse:
    form = forms.ChannelForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, "channels")
    channel = form.save(request.project)
    audit(request, "channel.created", channel.name, kind=channel.kind)
    return _done(request, "channels", f"{channel.name} gets alerts from {channel.min_severity} on. Send it a test.")


@_admin_form
def channel_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test; a channel that works is switched on again."""
    channel = get_object_or_404(Channel.objects.select_related("project"), pk=pk, project=request.project)
    try:
        trial.send(channel, request.build_absolute_uri(reverse("overview", args=[request.project.name])))
    except DeliveryError as error:
        messages.error(request, f"{channel.name} did not take the test: {error}")
        return HttpResponseRedirect(_at(request, "channels"))
    Channel.objects.filter(pk=channel.pk).update(disabled_reason="")
    audit(request, "channel.tested", channel.name)
    return _done(request, "channels", f"{channel.name} took the test.")


@_admin_form
def channel_delete(request: HttpRequest, pk: int) -> HttpResponse:
    channel = get_object_or_404(Channel, pk=pk, project=request.project)
    audit(request, "channel.deleted", channel.name, kind=channel.kind)
    channel.delete()
    return _done(request, "channels", "The channel is gone.")


@_admin_form
def connector_new(request: HttpRequest) -> HttpResponse:
    """A webhook address; its signing secret is shown once."""
    form = forms.ConnectorForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, "connectors")
    connector = Connector.objects.create(project=request.project, kind=form.cleaned_data["kind"])
    audit(request, "connector.created", connector.kind, connector=connector.pk)
    request.session["made_once"] = {"what": f"Signing secret of the {connector.kind} webhook", "text": connector.secret}
    return _done(request, "connectors", "Enter the address and the secret where the webhook is set up.")


@_admin_form
def connector_disable(request: HttpRequest, pk: int) -> HttpResponse:
    connector = get_object_or_404(Connector, pk=pk, project=request.project, disabled_at=None)
    Connector.objects.filter(pk=connector.pk).update(disabled_at=clock.now())
    audit(request, "connector.disabled", connector.kind, connector=connector.pk)
    return _done(request, "connectors", f"The {connector.kind} webhook is refused from now on.")


@_admin_form
def member_new(request: HttpRequest) -> HttpResponse:
    """Add a person; somebody new gets a password that is shown once."""
    form = forms.MemberForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form, "members")
    name, role = form.cleaned_data["username"], form.cleaned_data["role"]
    user, made = get_user_model().objects.get_or_create(username=name, defaults={"email": name if "@" in name else ""})
    if made:
        password = secrets.token_urlsafe(12)
        user.set_password(password)
        user.save()
        request.session["made_once"] = {"what": f"Password of {name}", "text": password}
    if not made and _is_last_admin(request, user.pk) and role != Member.Role.ADMIN:
        return _last_admin(request)
    Member.objects.update_or_create(user=user, project=request.project, defaults={"role": role})
    audit(request, "member.set", name, role=role)
    return _done(request, "members", f"{name} is {role}.")


@_admin_form
def member_remove(request: HttpRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Member.objects.select_related("user"), pk=pk, project=request.project)
    if _is_last_admin(request, member.user_id):
        return _last_admin(request)
    audit(request, "member.removed", member.user.get_username())
    member.delete()
    return _done(request, "members", f"{member.user.get_username()} has no access any more.")


def _is_last_admin(request: HttpRequest, user_id: int) -> bool:
    admins = set(Member.objects.filter(project=request.project, role=Member.Role.ADMIN).values_list("user_id", flat=True))
    return admins == {user_id}


def _last_admin(request: HttpRequest) -> HttpResponse:
    messages.error(request, "A shop keeps at least one admin; make somebody else admin first.")
    return HttpResponseRedirect(_at(request, "members"))


def _done(request: HttpRequest, part: str, message: str) -> HttpResponse:
    return back(request, _at(request, part), message)


def _change(request: HttpRequest, made: type[ModelForm], panel: str, said: str) -> HttpResponse:
    """Save a panel's form of the project itself."""
    form = made(request.POST, instance=request.project)
    if not form.is_valid():
        return _refuse(request, form, panel)
    form.save()
    audit(request, f"{panel}.changed", request.project.name, **form.cleaned_data)
    return _done(request, panel, said)


def _refuse(request: HttpRequest, form: BaseForm, part: str) -> HttpResponse:
    for field, errors in form.errors.items():
        name = "" if field == "__all__" else f"{form.fields[field].label or field.replace('_', ' ').capitalize()}: "
        messages.error(request, name + " ".join(errors))
    return HttpResponseRedirect(_at(request, part))


def _at(request: HttpRequest, part: str) -> str:
    return f"{reverse('settings', args=[request.project.name])}#{part}"
