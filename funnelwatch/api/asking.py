"""What a question says in its address: which cohort, which step, how many."""

from collections.abc import Iterator
from contextlib import contextmanager

from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request

from funnelwatch.api.store import store_or_unavailable
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.core.vocabulary import DIMENSIONS

COHORT = OpenApiParameter(
    "cohort", str, many=True, description="dimension:value, repeated. Different dimensions are ANDed, a repeated one means any of its values; none is everyone."
)
STEP = OpenApiParameter("step", str, required=True, description="from->to, two steps of the funnel that follow one another")


def cohort(request: Request, name: str = "cohort") -> Cohort:
    """Of `?cohort=dimension:value`, repeated; an empty one is everyone. Raises ValidationError."""
    pairs = [text.partition(":")[::2] for text in request.query_params.getlist(name) if text]
    wrong = [dimension for dimension, value in pairs if dimension not in DIMENSIONS or not value]
    if wrong:
        raise exceptions.ValidationError({name: [f"Write dimension:value; {wrong[0]!r} is no dimension."]})
    return Cohort.of(pairs)


def pair(request: Request, definition: FunnelDef) -> tuple[str, str]:
    """The two steps of `?step=from->to`. Raises ValidationError that lists what there is."""
    step_from, _, step_to = request.query_params.get("step", "").partition("->")
    if (step_from, step_to) not in definition.pairs:
        raise exceptions.ValidationError({"step": [f"One of {', '.join(f'{a}->{b}' for a, b in definition.pairs)}."]})
    return step_from, step_to


def number(request: Request, name: str, default: int) -> int:
    """Of `?name=12`. Raises ValidationError."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise exceptions.ValidationError({name: ["A whole number."]})
    return int(text)


@contextmanager
def countable() -> Iterator[None]:
    """Raises ValidationError where the block is asked for a cohort that cannot be counted so, Unavailable (503) where the store is away."""
    try:
        with store_or_unavailable():
            yield
    except ValueError as error:
        raise exceptions.ValidationError({"cohort": [str(error)]}) from error
