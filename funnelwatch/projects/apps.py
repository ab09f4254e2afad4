from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "funnelwatch.projects"
    label = "projects"
