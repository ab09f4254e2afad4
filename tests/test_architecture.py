"""The rules of ARCHITECTURE.md and README.md that a reader relies on, kept by machine."""

import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from funnelwatch import config

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "funnelwatch"


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("funnelwatch", include_external_packages=True)


def test_the_import_contracts_hold() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("driver", ["clickhouse_driver", "chdb"])
def test_only_the_store_imports_a_clickhouse_driver(imports: grimp.ImportGraph, driver: str) -> None:
    importers = imports.find_modules_that_directly_import(driver)
    assert importers
    assert all(module.startswith("funnelwatch.store.") for module in importers), importers


def test_only_tasks_and_celery_import_celery(imports: grimp.ImportGraph) -> None:
    importers = imports.find_modules_that_directly_import("celery")
    assert importers
    assert importers <= {"funnelwatch.tasks", "funnelwatch.celery"}


def test_only_the_clock_reads_the_systems_time() -> None:
    readers = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(call in path.read_text() for call in ("datetime.now(", "datetime.utcnow(", "timezone.now("))
    ]
    assert readers == ["core/clock.py"]


def test_modules_stay_short_enough_to_read() -> None:
    # 300 lines is the aim; the margin is for the last function of a module that is one thought.
    long = {
        str(path.relative_to(ROOT)): lines
        for path in PACKAGE.rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > 320
    }
    assert not long


def test_the_readme_names_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    names = {f"FUNNELWATCH_{setting.name.upper()}" for setting in config.SETTINGS}
    names |= set(re.findall(r'"(FUNNELWATCH_[A-Z_]+)"', (PACKAGE / "settings.py").read_text()))
    assert len(names) > len(config.SETTINGS) + 10
    assert not {name for name in names if f"`{name}`" not in readme}


def test_every_knob_set_in_the_shell_reaches_the_containers() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert not {setting.name for setting in config.SETTINGS if not re.search(rf"^ +FUNNELWATCH_{setting.name.upper()}:", compose, re.M)}


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = {path.stem for path in (PACKAGE / "web/management/commands").glob("[!_]*.py")}
    assert commands
    assert not {name for name in commands if f"`funnelwatch {name}" not in readme}
