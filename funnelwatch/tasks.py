"""Celery's tasks: each a line that calls the pipeline. What runs when stands in celery.py."""

from funnelwatch import config, pipeline
from funnelwatch.celery import Alone, app
from funnelwatch.projects.models import Project


@app.task
def tick_all() -> None:
    """A tick for each project, of its own so that a slow one holds up no other."""
    for project_id in _projects():
        tick.apply_async((project_id,), expires=config.get_int("tick_seconds"))


@app.task(base=Alone)
def tick(project_id: int) -> None:
    """Roll up, judge, diagnose and record what the last seconds brought."""
    pipeline.tick(project_id)


@app.task(base=Alone)
def deliver() -> None:
    """Send what is waiting to be sent."""
    pipeline.deliver()


@app.task
def learn_all() -> None:
    """Learn each project's normal again."""
    for project_id in _projects():
        learn.apply_async((project_id,), expires=1800)


@app.task(base=Alone)
def learn(project_id: int) -> None:
    """Learn one project's normal again."""
    pipeline.learn_baselines(project_id)


def _projects() -> list[int]:
    return list(Project.objects.values_list("pk", flat=True))
