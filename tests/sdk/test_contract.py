"""The contract's examples: each fits the schema, and ingest makes of it what the example says."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from funnelwatch.core.clock import to_ms
from funnelwatch.core.events import Item
from funnelwatch.ingest.arrival import Arrival
from funnelwatch.ingest.intake import to_events
from funnelwatch.ingest.snapshot import KeyInfo

CONTRACT = Path(__file__).parents[2] / "sdk" / "contract"
EXAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((CONTRACT / "examples").glob("*.json"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_the_schema(name: str) -> None:
    schema = json.loads((CONTRACT / "batch.schema.json").read_text())
    jsonschema.validate({"batch": [EXAMPLES[name]["message"]], "sentAt": "2026-03-02T11:00:00.000Z"}, schema)


def as_event_field(name: str, value: Any) -> Any:
    """A canonical value of an example as the event struct holds it."""
    if name == "items":
        return tuple(
            Item(**{**item, "price": Decimal(str(item["price"]))} if "price" in item else item) for item in value
        )
    if name == "value":
        return Decimal(str(value))
    return tuple(value) if name == "variants" else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_ingest_makes_of_an_example_what_it_says(name: str) -> None:
    received = to_ms(datetime.fromisoformat("2026-03-02T11:00:00+00:00"))
    arrival = Arrival(key=KeyInfo(project_id=1, salt="salt"), now=received, received_at=received)
    events, drops = to_events([EXAMPLES[name]["message"]], arrival)
    assert drops == []
    expected = {field: as_event_field(field, value) for field, value in EXAMPLES[name]["canonical"].items()}
    assert {field: getattr(events[0], field) for field in expected} == expected
