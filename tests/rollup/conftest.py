"""The history that tests of single numbers share."""

import pytest

from funnelwatch.core.events import Event
from funnelwatch.core.funnel import FunnelDef
from funnelwatch.rollup import roll_up
from funnelwatch.store.client import Client
from tests.rollup.histories import FIRST, LAST, a_funnel, a_history, ids, insert_twice


@pytest.fixture(scope="module")
def shop(store: Client) -> tuple[FunnelDef, list[Event]]:
    """One history, rolled up once a file: tests of a file may roll it up again, which changes no number but leaves more rows."""
    funnel = a_funnel(next(ids))
    history = a_history(funnel.project_id, seed=7, visitors=150)
    insert_twice(store, history, 7)
    roll_up(store, funnel, "", FIRST, LAST)
    return funnel, history
