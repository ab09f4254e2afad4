import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.ingest.formats import Reject
from funnelwatch.ingest.formats.mapping import MappingError
from funnelwatch.ingest.formats.source import Source
from funnelwatch.ingest.formats.table import read, read_rees46

MAPPING = """
timezone = "Europe/Berlin"
group_by = ["visit", "what", "at"]

[fields]
event = "what"
timestamp = "at"
anonymousId = "who"
"context.sessionId" = "{who}.{visit}"
"context.location.country" = "land"

[fields_of.purchase]
"properties.order_id" = "{visit}-{at}"

[constants]
"properties.currency" = "EUR"

[values.event]
buy = "purchase"

[values."context.location.country"]
Deutschland = "DE"

[lookups.catalogue]
file = "catalogue.csv"
key = "id"
by = "thing"

[items]
sku = "thing"
price = "catalogue.price"
category = "catalogue.kind"
total = "properties.value"
"""
HEADER = "who,visit,what,at,land,thing\n"
CATALOGUE = "id,price,kind\nmug,12.50,kitchen\nrug,80,floor\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "catalogue.csv").write_text(CATALOGUE)
    return tmp_path


def table(folder: Path, text: str) -> list[Any]:
    (folder / "events.csv").write_text(text)
    return list(read(Source(folder / "events.csv"), folder / "map.toml"))


def test_rows_alike_in_the_group_columns_are_one_event_with_items_and_their_total(folder: Path) -> None:
    found = table(
        folder,
        HEADER
        + "ann,7,buy,2026-07-01 12:00:00,Deutschland,mug\n"
        + "ann,7,buy,2026-07-01 12:00:00,Deutschland,rug\n"
        + "ann,7,add_to_cart,2026-07-01 12:00:00,Deutschland,hat\n",
    )
    purchase, cart = found
    assert purchase["event"] == "purchase"
    assert purchase["timestamp"] == "2026-07-01T10:00:00+00:00"  # summer time in Berlin
    assert purchase["context"] == {"sessionId": "ann.7", "location": {"country": "DE"}}
    assert purchase["properties"]["items"] == [
        {"sku": "mug", "price": 12.5, "category": "kitchen"},
        {"sku": "rug", "price": 80, "category": "floor"},
    ]
    assert purchase["properties"]["value"] == 92.5
    assert purchase["properties"]["order_id"] == "7-2026-07-01 12:00:00"
    assert cart["properties"] == {"currency": "EUR", "items": [{"sku": "hat"}]}  # not in the catalogue, so no price and no total


def test_unreadable_rows_are_rejected_with_their_reason_and_end_nothing(folder: Path) -> None:
    found = table(
        folder,
        HEADER
        + "ann,7,buy,yesterday,DE,mug\n"
        + "ann,7,,2026-07-01,DE,mug\n"
        + "ann,7,buy\n"
        + "bob,8,buy,2026-07-01 12:00:00,DE,mug\n",
    )
    assert [one.reason if isinstance(one, Reject) else one["anonymousId"] for one in found] == [
        "invalid_time", "missing_event", "wrong_columns", "bob",
    ]  # fmt: skip
    assert found[0].raw == "ann,7,buy,yesterday,DE,mug"


def test_the_same_rows_give_the_same_message_ids_and_different_rows_different_ones(folder: Path) -> None:
    text = HEADER + "ann,7,buy,2026-07-01 12:00:00,DE,mug\nbob,7,buy,2026-07-01 12:00:01,DE,mug\n"
    first, second = table(folder, text)
    assert [first["messageId"], second["messageId"]] == [message["messageId"] for message in table(folder, text)]
    assert first["messageId"] != second["messageId"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[fields]", "[feilds]"), "unknown key 'feilds'"),
        (('event = "what"', ""), "nothing fills 'event'"),
        (('"who"', '"whom"'), "no column 'whom'; it has who, visit"),
        (("Europe/Berlin", "Europe/Bearlin"), "no IANA time zone"),
        (("catalogue.csv", "katalog.csv"), "katalog.csv does not exist"),
        (("catalogue.price", "catalogue.cost"), "'catalogue.cost' is used, but the lookup has only id, price, kind"),
        (('by = "thing"', ""), "[lookups.catalogue] needs 'by'"),
        (("timezone =", "timezone"), "not valid TOML"),
    ],
)
def test_a_mapping_that_does_not_fit_says_what_to_change(folder: Path, change: tuple[str, str], says: str) -> None:
    (folder / "map.toml").write_text(MAPPING.replace(*change, 1))
    with pytest.raises(MappingError) as raised:
        table(folder, HEADER + "ann,7,buy,2026-07-01,DE,mug\n")
    assert says in str(raised.value)


@given(cells=st.lists(st.lists(st.text('ab1,".é\n\x00', max_size=12), min_size=1, max_size=8), max_size=6))
def test_no_table_makes_the_reader_fail(tmp_path_factory, cells: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "map.toml").write_text(MAPPING)
    (folder / "catalogue.csv").write_text(CATALOGUE)
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    for found in table(folder, HEADER + text.getvalue().encode(errors="replace").decode()):
        assert isinstance(found, (dict, Reject))


def test_a_cut_off_table_gives_its_whole_rows_and_the_half_one_as_a_reject(folder: Path) -> None:
    lines = [f"ann,{number},buy,2026-07-01 12:00:00,DE,mug\n" for number in range(3000)]
    packed = gzip.compress((HEADER + "".join(lines)).encode())
    (folder / "events.csv").write_bytes(packed[:-30])
    *good, last = read(Source(folder / "events.csv"), folder / "map.toml")
    assert len(good) > 1500
    assert isinstance(last, Reject)
    assert last.reason == "truncated_file"


def test_a_stray_quote_swallows_no_more_than_one_oversized_cell(folder: Path) -> None:
    many = "".join(f"ann,{number},buy,2026-07-01 12:00:00,DE,mug\n" for number in range(20_000))
    found = table(folder, HEADER + 'ann,1,buy,2026-07-01 12:00:00,DE,"mug\n' + many)
    assert sum(isinstance(one, Reject) for one in found) >= 1
    assert sum(isinstance(one, dict) for one in found) > 5_000


def test_rees46_rows_are_read_by_the_mapping_that_comes_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,cart,44600062,2103807459595387724,appliances.iron,acme,35.79,541312140,72d76fde\n"
        "2019-10-01 00:00:09 UTC,purchase,44600062,2103807459595387724,,acme,35.79,541312140,72d76fde\n"
    )
    cart, purchase = read_rees46(Source(tmp_path / "f.csv"), None)
    assert (cart["event"], purchase["event"]) == ("add_to_cart", "purchase")
    assert purchase["timestamp"] == "2019-10-01T00:00:09+00:00"
    assert purchase["properties"]["value"] == 35.79
    assert cart["properties"]["items"] == [{"sku": "44600062", "category": "appliances.iron", "price": 35.79}]
