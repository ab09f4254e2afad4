"""Changes, incidents and what hangs on them, audit log."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import exceptions, mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from funnelwatch.api import scope, serializers
from funnelwatch.api.base import Scoped
from funnelwatch.changes import ledger
from funnelwatch.core.vocabulary import INCIDENT_STATUSES
from funnelwatch.incidents import contract, respond
from funnelwatch.incidents.models import Delivery, Feedback, Incident, PlaybookStep
from funnelwatch.projects.models import AuditRow, ChangeRow


class Conflict(exceptions.APIException):
    """Someone was first, or the incident's status does not allow it."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This is not possible any more."


class Changes(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, Scoped):
    """The change ledger. Posting the same `(source, external_id)` again updates the entry."""

    queryset = ChangeRow.objects.all()
    serializer_class = serializers.ChangeSerializer
    write_role = "responder"
    noun = "change"

    @extend_schema(responses={201: serializers.ChangeSerializer, 200: serializers.ChangeSerializer})
    def create(self, request: Request) -> Response:
        """201 for a new entry, 200 for an update."""
        try:
            row, created = ledger.upsert(scope.project(request), ledger.clean(request.data))
        except ledger.InvalidChange as error:
            raise exceptions.ValidationError(error.errors) from error
        self.note(row, "created" if created else "updated", external_id=row.external_id)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)

    def perform_destroy(self, instance: ChangeRow) -> None:
        self.note(instance, "deleted", external_id=instance.external_id)
        instance.delete()


class Incidents(Scoped):
    """Incidents with causes, detectors and timeline, as the contract has them."""

    queryset = Incident.objects.select_related("project", "assignee").prefetch_related("causes", "timeline")
    serializer_class = serializers.IncidentUpdateSerializer
    write_role = "responder"

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter("status", str, enum=INCIDENT_STATUSES),
            OpenApiParameter("run", str, description="Id of a replay; live incidents without it."),
        ],
    )
    def list(self, request: Request) -> Response:
        """Newest first."""
        found = self.get_queryset().filter(run_id=request.query_params.get("run", ""))
        wanted = request.query_params.get("status")
        if wanted:
            found = found.filter(status=wanted)
        return self.get_paginated_response([contract.to_json(row) for row in self.paginate_queryset(found)])

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def retrieve(self, request: Request, pk: str) -> Response:
        """One incident."""
        return Response(contract.to_json(self.get_object()))

    @extend_schema(request=serializers.IncidentUpdateSerializer, responses={200: OpenApiTypes.OBJECT})
    def partial_update(self, request: Request, pk: str) -> Response:
        """Set `status`, or add a `note`, or both. 409 when someone was first."""
        incident = self.get_object()
        update = self.get_serializer(data=request.data)
        update.is_valid(raise_exception=True)
        note = update.validated_data.get("note", "")
        try:
            if "status" in update.validated_data:
                respond.set_status(incident, update.validated_data["status"], scope.actor(request), note)
            elif note:
                respond.comment(incident, note, scope.actor(request))
            else:
                raise exceptions.ValidationError({"status": ["Give a status or a note."]})
        except (respond.ActedFirst, respond.NotPossible) as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(contract.to_json(self.get_queryset().get(pk=incident.pk)))


class Deliveries(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """Alerts: sent, waiting and given up."""

    queryset = Delivery.objects.select_related("channel")
    serializer_class = serializers.DeliverySerializer
    project_path = "incident__project"


class Playbooks(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """Steps of the playbooks attached to incidents."""

    queryset = PlaybookStep.objects.all()
    serializer_class = serializers.PlaybookStepSerializer
    project_path = "incident__project"


class Feedbacks(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """Verdicts on incidents."""

    queryset = Feedback.objects.select_related("user", "incident__project")
    serializer_class = serializers.FeedbackSerializer
    write_role = "responder"
    project_path = "incident__project"

    @extend_schema(responses={201: serializers.FeedbackSerializer})
    def create(self, request: Request) -> Response:
        """Say whether an alert was right: `{incident, verdict, note}`."""
        serializer: BaseSerializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data: dict[str, Any] = serializer.validated_data
        incident = Incident.objects.filter(pk=data["incident"].pk, project__in=scope.projects(request)).first()
        if incident is None:
            raise exceptions.ValidationError({"incident": ["There is no such incident."]})
        scope.require(request, incident.project, self.write_role)
        row = respond.judge(incident, data["verdict"], scope.actor(request), data.get("note", ""))
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)


class Audit(mixins.ListModelMixin, Scoped):
    """Who did what."""

    queryset = AuditRow.objects.all()
    serializer_class = serializers.AuditSerializer
