from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "funnelwatch.incidents"
    label = "incidents"
