from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "funnelwatch.web"
    label = "web"
