"""Which shop the demo plays and since when; kept in the data directory, so that a second run goes on with the same one."""

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from funnelwatch.core import clock
from funnelwatch.simulate import SCENARIOS, Simulation

#: Days of history, 130,000 events each: more would not be in the store within two minutes on two cores.
DAYS = 3
#: The scenario's first fault begins 5 minutes after its history. It should be found, and still be there, when the pages open.
HISTORY_ENDS_BEFORE = timedelta(minutes=25)
#: The shop stands where it is this hour now: its evening rush, with most visitors.
LOCAL_HOUR = 20


@dataclass
class Plan:
    """`start` and `told_until` (what the store has been told up to) are ISO 8601 UTC."""

    start: str
    timezone: str
    told_until: str
    write_key: str = ""
    email: str = ""
    password: str = ""

    @classmethod
    def new(cls) -> "Plan":
        """A shop whose trouble began a few minutes ago."""
        now = clock.now().replace(second=0, microsecond=0)
        start = (now - HISTORY_ENDS_BEFORE - timedelta(days=DAYS)).isoformat()
        ahead = (LOCAL_HOUR - now.hour + 11) % 24 - 11
        return cls(start=start, timezone=f"Etc/GMT{-ahead:+d}", told_until=start)

    @classmethod
    def load(cls, path: Path) -> "Plan | None":
        """The plan of an earlier run."""
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def save(self, path: Path) -> None:
        """Keep it, readable by its owner only: it holds the demo's password."""
        draft = path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(path)

    def simulation(self) -> Simulation:
        """The shop; the same plan gives the same visitors."""
        scenario = SCENARIOS["demo"]
        shop = replace(scenario.shop, timezone=self.timezone)
        return Simulation(replace(scenario, shop=shop), days=DAYS, start=datetime.fromisoformat(self.start))
