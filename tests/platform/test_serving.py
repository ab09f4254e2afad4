"""How a process that answers requests is set up, looked at from inside one."""

from pathlib import Path

import pytest

from tests.platform.processes import python


def test_it_reads_the_map_of_addresses_before_the_first_request_and_keeps_the_collector_off_what_stays(tmp_path: Path) -> None:
    said = python(
        "import gc\n"
        "from funnelwatch.ingest import geo\n"
        "from funnelwatch.web.preparation import prepare_database\n"
        "from funnelwatch.web.serving import serving\n"
        "prepare_database()\n"
        "with serving():\n"
        "    print(geo._packaged.cache_info().currsize, gc.get_freeze_count() > 50_000, gc.get_threshold())\n",
        tmp_path,
    )
    assert said == "1 True (50000, 20, 50)\n"


@pytest.mark.parametrize(("given", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_openblas_has_one_thread_unless_the_operator_says_otherwise(tmp_path: Path, given: dict[str, str], threads: str) -> None:
    code = "import numpy, threadpoolctl\nprint(*{one['num_threads'] for one in threadpoolctl.threadpool_info()})"
    assert python(code, tmp_path, **given) == f"{threads}\n"
