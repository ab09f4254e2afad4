"""Projects, keys, tokens, members, funnels, channels and connectors."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import models
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from funnelwatch import pipeline
from funnelwatch.api import scope, serializers
from funnelwatch.api.asking import COHORT, cohort, countable
from funnelwatch.api.base import Scoped
from funnelwatch.api.questions import Questions
from funnelwatch.api.store import TIMES, Unavailable, client, collected, span, store_or_unavailable
from funnelwatch.core import clock
from funnelwatch.core.vocabulary import DIMENSIONS
from funnelwatch.pipeline.funnels import preview
from funnelwatch.projects.funnels import save
from funnelwatch.projects.models import ApiToken, Channel, Connector, Funnel, Member, Project, WriteKey
from funnelwatch.store.queries import funnels, latency
from funnelwatch.store.queries.span import Span


class Projects(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.UpdateModelMixin, Scoped):
    """The shops the caller may see."""

    queryset = Project.objects.all()
    serializer_class = serializers.ProjectSerializer
    http_method_names = ("get", "patch", "post", "head", "options")
    project_path, noun = "pk", "project"

    def project_of(self, row: models.Model) -> Project:
        return row  # type: ignore[return-value]

    def perform_update(self, serializer: BaseSerializer) -> None:
        self.note(serializer.save(), "changed", fields=sorted(serializer.validated_data))

    @extend_schema(request=serializers.EraseSerializer, responses={200: OpenApiTypes.OBJECT})
    @action(detail=True, methods=["post"])
    def erase(self, request: Request, pk: str) -> Response:
        """Erase a person or a time range everywhere; the answer is the receipt. With `dry_run`, what would go."""
        project = self.get_object()
        wanted = serializers.EraseSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        person, start, end, dry_run = (wanted.validated_data.get(name) for name in ("person", "start", "end", "dry_run"))
        actor = scope.actor(request).name
        try:
            with store_or_unavailable():
                if person:
                    return Response(pipeline.erase_person(project, person, actor, dry_run))
                return Response(pipeline.erase_range(project, start, end, actor, dry_run))
        except pipeline.StillBusy as busy:
            raise Unavailable(str(busy)) from busy


class Created(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, Scoped):
    """Rows that are made in a project and listed."""

    def perform_create(self, serializer: BaseSerializer) -> None:
        self.note(serializer.save(project=scope.project(self.request)), "created")


class Revocable(Created):
    """Keys and tokens: deleting revokes, so that the past stays explained."""

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        type(row).objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=clock.now())
        self.note(row, "revoked")
        return Response(status=status.HTTP_204_NO_CONTENT)


class Keys(Revocable):
    """Write keys: they go into the shop's page and can only send."""

    queryset = WriteKey.objects.all()
    serializer_class = serializers.KeySerializer
    noun = "key"

    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """A second key with the same settings; revoke the first once the shop uses the new one."""
        old = self.get_object()
        new = WriteKey.objects.create(project=old.project, name=old.name, allowed_origins=old.allowed_origins)
        self.note(new, "rotated", old=old.pk)
        return Response(self.get_serializer(new).data, status=status.HTTP_201_CREATED)


class Tokens(Revocable):
    """API tokens. The text is in the answer that makes one, and nowhere else. Only admins see them."""

    queryset = ApiToken.objects.all()
    serializer_class = serializers.TokenSerializer
    noun = "token"

    def perform_create(self, serializer: BaseSerializer) -> None:
        token, text = ApiToken.issue(scope.project(self.request), **serializer.validated_data)
        token.token = text
        serializer.instance = token
        self.note(token, "created", role=token.role)


class Members(mixins.UpdateModelMixin, mixins.DestroyModelMixin, Created):
    """People and their roles. A person must have an account; `funnelwatch init` or Settings makes one."""

    queryset = Member.objects.select_related("user", "project")
    serializer_class = serializers.MemberSerializer
    http_method_names = ("get", "post", "patch", "delete", "head", "options")
    noun = "member"

    def perform_create(self, serializer: BaseSerializer) -> None:
        name = serializer.validated_data["user"]["username"]
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            raise ValidationError({"username": ["There is no such account."]})
        project, role = scope.project(self.request), serializer.validated_data.get("role", Member.Role.VIEWER)
        if Member.objects.filter(user=user, project=project).exists():
            raise ValidationError({"username": ["Already a member; change the role with PATCH."]})
        serializer.instance = Member.objects.create(user=user, project=project, role=role)
        self.note(serializer.instance, "added", username=name, role=role)

    def perform_update(self, serializer: BaseSerializer) -> None:
        role = serializer.validated_data.get("role", serializer.instance.role)
        self._keep_one_admin(serializer.instance, role)
        Member.objects.filter(pk=serializer.instance.pk).update(role=role)
        serializer.instance.role = role
        self.note(serializer.instance, "changed", role=role)

    def perform_destroy(self, instance: Member) -> None:
        self._keep_one_admin(instance, None)
        self.note(instance, "removed", username=instance.user.get_username())
        instance.delete()

    def _keep_one_admin(self, member: Member, role: str | None) -> None:
        others = Member.objects.filter(project=member.project, role=Member.Role.ADMIN).exclude(pk=member.pk)
        if member.role == Member.Role.ADMIN and role != Member.Role.ADMIN and not others.exists():
            raise ValidationError({"role": ["A project keeps at least one admin."]})


class Channels(mixins.UpdateModelMixin, mixins.DestroyModelMixin, Created):
    """Where alerts go. `config` is written and never shown."""

    queryset = Channel.objects.select_related("project")
    serializer_class = serializers.ChannelSerializer
    http_method_names = ("get", "post", "patch", "delete", "head", "options")
    noun = "channel"

    def perform_update(self, serializer: BaseSerializer) -> None:
        self.note(serializer.save(disabled_reason=""), "changed", fields=sorted(serializer.validated_data))

    def perform_destroy(self, instance: Channel) -> None:
        self.note(instance, "deleted")
        instance.delete()


class Connectors(Created):
    """Sources of changes and orders by webhook. The secret is in the answer that makes one, and nowhere else."""

    queryset = Connector.objects.select_related("project")
    serializer_class = serializers.ConnectorSerializer
    noun = "connector"

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer = super().create(request, *args, **kwargs)
        answer.data["secret"] = Connector.objects.get(pk=answer.data["id"]).secret
        return answer

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        Connector.objects.filter(pk=row.pk, disabled_at=None).update(disabled_at=clock.now())
        self.note(row, "disabled")
        return Response(status=status.HTTP_204_NO_CONTENT)


class Funnels(Questions, Created):
    """Funnel versions. Posting under a name that exists makes its next version and watches that one."""

    queryset = Funnel.objects.select_related("project")
    serializer_class = serializers.FunnelSerializer
    noun = "funnel"

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.instance, new = save(scope.project(self.request), serializer.validated_data["draft"])
        if new:
            self.note(serializer.instance, "created", version=serializer.instance.version)

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What a definition would have counted on the last day with events, from the raw events; nothing is saved.

        `matched` are the events that match a step at all; `from` and `to` are null and the steps empty where there is no event yet.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with store_or_unavailable():
            return Response(preview(client(), scope.project(request), serializer.validated_data["draft"]))

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[*TIMES, OpenApiParameter("by", str, many=True, enum=DIMENSIONS)])
    @action(detail=True)
    def report(self, request: Request, pk: str) -> Response:
        """Steps with their intervals, whole and by up to two dimensions; the last 24 hours, the running minute with them, without a time.

        `minutes_missing` counts the minutes whose history is still being counted for this version; until it is 0, `complete` and
        `complete_entered`, the shares of what is expected to be in by now, are null.
        """
        funnel = self.get_object()
        from_minute, to_minute = span(request, 1440)
        by = [name for text in request.query_params.getlist("by") for name in text.split(",") if name]
        if len(by) > 2 or not set(by) <= set(DIMENSIONS):
            raise ValidationError({"by": [f"At most two of {', '.join(DIMENSIONS)}."]})
        with store_or_unavailable():
            return Response(funnels.report(client(), _asked(funnel, from_minute, to_minute), by))

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, parameters=[*TIMES, COHORT])
    @action(detail=True)
    def latency(self, request: Request, pk: str) -> Response:
        """How long things took in milliseconds, `{steps, endpoints}`: by step and event, and by slow or failed request; the last 24 hours without a time.

        `cohort` narrows the steps; requests are everyone's.
        """
        funnel = self.get_object()
        from_minute, to_minute = span(request, 1440)
        with countable():
            asked = _asked(funnel, from_minute, to_minute)
            return Response({"steps": latency.by_step(client(), asked, cohort(request)), "endpoints": latency.by_endpoint(client(), asked)})


def _asked(funnel: Funnel, from_minute: int, to_minute: int) -> Span:
    """The time asked for up to the running minute, as known now. Raises ValidationError where it was not collected, StoreUnavailable."""
    as_of, into = divmod(clock.to_ms(clock.now()), 60_000)
    to_minute = min(to_minute, as_of + 1)
    return Span(collected(funnel, from_minute, to_minute), from_minute, to_minute, as_of, elapsed=into / 60_000)
