"""The only place where one stage's output becomes the next one's input.

`watch.tick` reads top to bottom as the table of ARCHITECTURE.md; `history` runs the same stages on a simulated clock; `process`
holds what a process keeps open; `intake` is the way in for files and webhooks.
"""

from funnelwatch.pipeline.erasure import StillBusy, erase_person, erase_range
from funnelwatch.pipeline.history import replaced, replay, watch_past
from funnelwatch.pipeline.intake import ImportReport, import_rows, take_messages
from funnelwatch.pipeline.learning import learn_baselines
from funnelwatch.pipeline.nodes import carry_out_orders
from funnelwatch.pipeline.process import (
    ingest_app,
    ingest_status,
    metrics_text,
    refresh_snapshot,
    runtime,
    spool_trouble,
    start,
    stop,
)
from funnelwatch.pipeline.rolling import roll_up_imported
from funnelwatch.pipeline.watch import deliver, judged_until, tick

__all__ = [
    "ImportReport",
    "StillBusy",
    "carry_out_orders",
    "deliver",
    "erase_person",
    "erase_range",
    "import_rows",
    "ingest_app",
    "ingest_status",
    "judged_until",
    "learn_baselines",
    "metrics_text",
    "refresh_snapshot",
    "replaced",
    "replay",
    "roll_up_imported",
    "runtime",
    "spool_trouble",
    "start",
    "stop",
    "take_messages",
    "tick",
    "watch_past",
]
