"""Every pytest process has a data directory of its own, set before Django's settings are read."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import django
import pytest
from hypothesis import settings

# A busy machine is not a wrong answer.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

_data = tempfile.mkdtemp(prefix="funnelwatch-test-")
os.environ["FUNNELWATCH_DATA"] = _data
# Set here and not in pyproject: pytest-django would read the settings before this file had chosen the directory.
os.environ["DJANGO_SETTINGS_MODULE"] = "funnelwatch.settings"
# pytest-django sets Django up only where it finds the settings before this file runs; test modules import models at the top.
django.setup()


@pytest.fixture(scope="session", autouse=True)
def data_directory() -> Iterator[str]:
    """The data directory of this process; removed at the end."""
    yield _data
    shutil.rmtree(_data, ignore_errors=True)
