"""Regions from a file of the operator's own, in MaxMind's format."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from funnelwatch import config
from funnelwatch.ingest import geo
from tests.ingest.conftest import Node
from tests.ingest.mmdb import mmdb

RECORDS = {
    "49.36.0.0/16": {"country": {"iso_code": "IN"}, "subdivisions": [{"iso_code": "GJ", "names": {"en": "Gujarat"}}]},
    "1.2.3.0/24": {"country": {"iso_code": "DE"}, "subdivisions": [{"names": {"en": "Bavaria"}}]},  # as DB-IP has it
    "9.9.9.9/32": {"country": {"iso_code": "FR"}},
    "8.8.8.0/24": {"continent": {"code": "NA"}},
    "5.5.5.0/24": {"country": ["DE"], "subdivisions": "BY"},
}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What a process has read once it keeps."""
    yield
    geo._operators.cache_clear()
    geo._locate.cache_clear()


def use(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    geo._operators.cache_clear()
    geo._locate.cache_clear()
    return str(path)


def test_visitors_get_their_region_from_the_file_and_it_goes_with_its_country(node: Node, tmp_path: Path) -> None:
    with config.override(geo_mmdb=use(tmp_path / "city.mmdb", mmdb(RECORDS))):
        assert geo.load() == f"Test-City of {tmp_path}/city.mmdb"
        contexts = [
            {"ip": "49.36.1.1"},
            {"ip": "1.2.3.4"},
            {"ip": "49.36.1.1", "location": {"country": "IN"}},
            {"ip": "49.36.1.1", "location": {"country": "FR"}},
            {"ip": "49.36.1.1", "location": {"region": "MH"}},
        ]
        node.batch(*[{"type": "track", "event": "Tick", "anonymousId": "v", "context": context} for context in contexts])
        rows = [(row["country"], row["region"]) for row in sorted(node.stored(5), key=lambda row: row["message_id"])]
    assert sorted(rows) == [("DE", "Bavaria"), ("FR", ""), ("IN", "GJ"), ("IN", "GJ"), ("IN", "MH")]


def test_what_the_file_does_not_say_comes_from_the_packaged_data(tmp_path: Path) -> None:
    assert geo.locate("49.36.1.1") == ("IN", "", False)
    with config.override(geo_mmdb=use(tmp_path / "city.mmdb", mmdb(RECORDS))):
        assert geo.locate("9.9.9.9")[:2] == ("FR", "")
        assert geo.locate("8.8.8.8")[:2] == ("US", "")
        assert geo.locate("81.2.69.142")[:2] == ("GB", "")
        for address in ("10.0.0.1", "no address", "5.5.5.5.5", "::1", "2001:db8::1"):
            assert geo.locate(address).region == ""
        assert geo.locate("5.5.5.5").region == ""


@pytest.mark.parametrize("content", [None, b"", b"not a database", mmdb(RECORDS)[:-40]], ids=["missing", "empty", "text", "cut"])
def test_a_file_that_cannot_be_used_is_said_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "city.mmdb"
    if content is not None:
        use(path, content)
    geo._operators.cache_clear()
    with config.override(geo_mmdb=str(path)), pytest.raises(geo.GeoFileError, match="FUNNELWATCH_GEO_MMDB names .*city.mmdb, which cannot be used: "):
        geo.load()


def test_a_damaged_record_costs_the_region_and_not_the_event(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = mmdb(RECORDS).replace(b"\x42GJ", b"\x5dGJ").replace(b"\x42IN", b"\xff\xff\xff")
    with config.override(geo_mmdb=use(tmp_path / "city.mmdb", content)):
        geo.load()
        assert geo.locate("49.36.1.1") == ("IN", "", False)
    assert "damaged" in caplog.text
