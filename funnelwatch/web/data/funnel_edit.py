"""What the editing page of a funnel shows beside the form: its versions, the events that arrive, the preview."""

from typing import Any

from funnelwatch.core import clock
from funnelwatch.pipeline.funnels import UNSEEN_DAYS, preview
from funnelwatch.projects.funnels import Draft, Wrong
from funnelwatch.projects.models import Funnel, Project
from funnelwatch.store.queries import names
from funnelwatch.web.data import stored
from funnelwatch.web.funnel_form import FunnelForm

EVENT_NAMES = 30


def context(project: Project, form: FunnelForm, name: str) -> dict[str, Any]:
    """Template context of the form and its neighbours."""
    now = clock.now_ms()
    found = stored.ask(lambda: names.counted(stored.client(), project.pk, now - UNSEEN_DAYS * 86_400_000, now))
    versions = Funnel.objects.filter(project=project, name=name).order_by("-version")
    return {
        "form": form,
        "name": name,
        "versions": [{"row": row, "steps": " > ".join(step["name"] for step in row.steps)} for row in versions],
        "seen": [(row["name"], row["events"]) for row in (found or [])[:EVENT_NAMES]],
    }


def previewed(project: Project, form: FunnelForm) -> dict[str, Any]:
    """`{wrong}` where the form cannot be used, `{away}` while the store is, else `{from, to, steps, exclusions}` with widths of bars."""
    try:
        draft: Draft = form.draft()
    except Wrong as wrong:
        return {"wrong": str(wrong)}
    found = stored.ask(lambda: preview(stored.client(), project, draft))
    if found is None:
        return {"away": True}
    first = found["steps"][0]["entered"] if found["steps"] else 0
    steps = [
        step | {"width": min(100.0, step["entered"] / first * 100) if first else 0.0, "sent": before}
        for step, before in zip(found["steps"], [None, *found["steps"]], strict=False)
    ]
    return found | {"steps": steps, "unmatched": [step["step"] for step in (*steps, *found["exclusions"]) if not step["matched"]]}
