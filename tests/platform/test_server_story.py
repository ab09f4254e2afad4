"""The same story across real processes: web, worker and beat with PostgreSQL and Redis, ClickHouse over its native protocol."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests import story
from tests.platform import processes
from tests.platform.deployment import deployment
from tests.platform.services import clickhouse, free_port

MINUTES = 16

#: The shop of the copied history: its number, zone, currency and the salt of its pseudonyms, so that visitors stay who they were.
TAKE_OVER = """
import json
from funnelwatch.projects.models import ApiToken, Project, WriteKey
shop = Project.objects.get(name="shop")
assert shop.pk == {pk}, shop.pk
shop.timezone, shop.currency, shop.salt = "Asia/Kolkata", "INR", "{salt}"
shop.save()
print(json.dumps({{"write_key": WriteKey.objects.get(project=shop).key, "api_token": ApiToken.issue(shop, "story")[1]}}))
"""


def test_a_broken_payment_becomes_one_incident_across_web_worker_and_beat(
    shop_history: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    kept, clock_file, data = tmp_path / "kept", tmp_path / "clock", tmp_path / "var"
    story.copy(shop_history[0], kept)
    who = "from funnelwatch.projects.models import Project\nshop = Project.objects.get(name='shop')\nprint(shop.pk, shop.salt)"
    pk, salt = processes.python(who, kept).split()
    (tmp_path / "clickhouse").mkdir()
    shutil.move(kept / "chdb", tmp_path / "clickhouse" / "chdb")
    story.set_clock(clock_file, story.HISTORY_UNTIL)
    with (
        story.captured() as capture,
        clickhouse(tmp_path / "clickhouse", free_port()) as store_url,
        deployment(data, store_url, **story.environment(clock_file, capture)) as running,
    ):
        given = {name: value for name, value in running.environment.items() if name != "FUNNELWATCH_DATA"}
        shop = json.loads(processes.python(TAKE_OVER.format(pk=pk, salt=salt), data, **given))
        story.add_channels(lambda code: processes.python(code, data, **given))
        processes.result("changes", "import", story.write_changes(tmp_path), "--project", "shop", data=data, **given)
        explain = lambda: running.log("worker") + running.log("web")  # noqa: E731
        evening = story.Evening(running.url, shop["write_key"], shop["api_token"], clock_file, explain)
        evening.send(True, MINUTES)
        story.check_the_incident(evening.incidents(), capture)
