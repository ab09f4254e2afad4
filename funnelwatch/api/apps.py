from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "funnelwatch.api"
    label = "api"
