"""How fast stored history is replayed: simulated minutes and events a second, the fitting of each day included.

`python -m benchmarks.replay [--quick] [--json]`. A simulated shop is imported into a new data directory; only the replay is timed.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks._report import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    days, sessions = (1.5, 4_000) if options.quick else (14.0, 16_500)
    with tempfile.TemporaryDirectory(prefix="fw-replay-") as folder:
        # Before Django's settings are read.
        os.environ |= {"FUNNELWATCH_DATA": folder, "DJANGO_SETTINGS_MODULE": "funnelwatch.settings"}
        report("replay", _measure(Path(folder), days, sessions))


def _measure(folder: Path, days: float, sessions: float) -> dict[str, float]:
    import django

    django.setup()
    from funnelwatch import pipeline
    from funnelwatch.core.funnel import default_steps
    from funnelwatch.projects.setup import create_project
    from funnelwatch.simulate import Simulation
    from funnelwatch.web.preparation import prepare_database

    simulation = Simulation("case-study", days=days, sessions_per_day=sessions)
    prepare_database()
    pipeline.start()
    project = create_project("bench", "Asia/Kolkata", "INR", default_steps(), "bench@localhost").project
    start = time.perf_counter()
    imported = pipeline.import_rows(project, simulation.messages(), lambda *_: None, lambda _: None).imported
    importing = time.perf_counter() - start
    # The last quarter of the history and the hours with the fault: what lies before is learned from.
    begin = simulation.start + (simulation.history_until - simulation.start) * 0.75
    start = time.perf_counter()
    result = pipeline.replay(project, begin, None, "none", lambda *_: None)
    seconds = time.perf_counter() - start
    pipeline.stop()
    minutes = (simulation.until - begin).total_seconds() / 60
    return {
        "simulated_minutes_per_s": minutes / seconds,
        "events_per_s": imported / seconds,
        "events": imported,
        "incidents": len(result["incidents"]),
        "import_eps": imported / importing,
    }


if __name__ == "__main__":
    main()
