"""Every pytest process has a data directory of its own, set before Django's settings are read."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from hypothesis import settings

from funnelwatch.store.client import Client, connect
from funnelwatch.store.migrate import migrate
from tests import story

# A busy machine is not a wrong answer.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

_data = tempfile.mkdtemp(prefix="funnelwatch-test-")
os.environ["FUNNELWATCH_DATA"] = _data
# Set here and not in pyproject: pytest-django would read the settings before this file had chosen the directory.
os.environ["DJANGO_SETTINGS_MODULE"] = "funnelwatch.settings"
# pytest-django sets Django up only where it finds the settings before this file runs; test modules import models at the top.
django.setup()
# xdist's workers inherit the environment, and pytest-django in a worker reads the settings it names before this file runs there:
# all workers would share this process's directory.
del os.environ["DJANGO_SETTINGS_MODULE"]


#: Files of a minute and more, begun first: two workers then end together, and not one of them minutes later.
LONGEST = ("test_flow", "test_replay", "test_demo", "test_server_story", "test_clients", "test_repeatable", "test_up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others in their order."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def data_directory() -> Iterator[str]:
    """The data directory of this process; removed at the end."""
    yield _data
    shutil.rmtree(_data, ignore_errors=True)


@pytest.fixture(scope="session")
def shop_history(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, dict[str, Any]]:
    """A data directory with the story's fourteen days, for stories that begin with a copy of it, and what `init` printed there."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "history"  # xdist's workers have one parent
    folder.mkdir(exist_ok=True)
    return story.shared_history(folder)


@pytest.fixture(scope="session")
def store(data_directory: str) -> Iterator[Client]:
    """The event store of this process, migrated. Nothing is ever truncated: each test takes its own `project_id`."""
    client = connect(django_settings.CLICKHOUSE_URL.removeprefix("chdb://"))
    migrate(client)
    yield client
    client.close()


_project_ids = itertools.count(1_000)


@pytest.fixture
def project_id() -> int:
    """A project no other test uses."""
    return next(_project_ids)
