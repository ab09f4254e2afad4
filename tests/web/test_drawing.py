"""Small charts and times: any band makes a valid path, and a time is that of the shop."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.core import clock
from funnelwatch.web import format, svg, words

values = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(y=values, shift=st.floats(0, 100), worse=st.sampled_from(["down", "up"]))
def test_any_band_makes_wellformed_svg_with_finite_numbers(y: list[float | None], shift: float, worse: str) -> None:
    def moved(by: float) -> list[float | None]:
        return [None if v is None else v + by for v in y]

    band = {"y": y, "expected": y, "lo": moved(-shift), "hi": moved(shift)}
    drawn = svg.band_spark(band, "uid", 'a "label" & more', worse=worse)
    if all(v is None for v in y):
        assert drawn == ""
        return
    ElementTree.fromstring(drawn)
    assert "nan" not in drawn.lower()
    assert "inf" not in drawn.lower()


@pytest.mark.parametrize(("last", "worse", "marked"), [(0.4, "down", True), (0.6, "down", False), (0.6, "up", True), (0.5, "up", False)])
def test_the_end_is_marked_when_it_lies_beyond_the_range_on_the_harmful_side(last: float, worse: str, marked: bool) -> None:
    band = {"y": [0.5, last], "expected": [0.5, 0.5], "lo": [0.45, 0.45], "hi": [0.55, 0.55]}
    assert ("s-dot is-bad" in svg.band_spark(band, "x", worse=worse)) is marked


def test_clip_paths_are_named_by_the_caller() -> None:
    band = {"y": [1, 2], "expected": [1, 1], "lo": [0, 0], "hi": [3, 3]}
    assert 'id="row-7"' in svg.band_spark(band, "row-7")
    assert svg.band_spark(band, "row-7") == svg.band_spark(band, "row-7")


@pytest.mark.parametrize(
    ("ago", "text"), [(timedelta(minutes=12), "14:32"), (timedelta(days=1), "Fri 14:44"), (timedelta(days=70), "12 Sep 2026"), (timedelta(hours=15), "Fri 23:44")]
)
def test_times_are_clock_times_today_weekdays_this_week_and_dates_before(ago: timedelta, text: str) -> None:
    now = datetime(2026, 11, 21, 9, 14, tzinfo=UTC)
    with clock.at(now), timezone.override("Asia/Kolkata"):
        assert format.when(now - ago) == text


@pytest.mark.parametrize(
    ("name", "text"), [("Asia/Kolkata", "IST"), ("UTC", "UTC"), ("Pacific/Tahiti", "UTC−10"), ("Asia/Kathmandu", "UTC+5:45"), ("Etc/GMT-3", "UTC+3")]
)
def test_a_zone_without_a_name_is_told_by_its_distance_from_utc(name: str, text: str) -> None:
    assert format.zone(datetime(2026, 7, 1, tzinfo=ZoneInfo(name))) == text


def test_a_step_range_reads_as_words() -> None:
    assert words.step_range("add_payment_info->purchase") == "Payment → order"
    assert words.step_range("my_step") == "My step"
