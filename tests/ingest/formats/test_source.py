import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnelwatch.ingest.formats.source import BLOCK, Source

#: Longer than the block a file is read in, so that lines cross its borders.
LINES = [b'{"n": %d, "filling": "%s"}' % (number, b"x" * (number % 97)) for number in range(12_000)]


def lines_of(path: Path, content: bytes) -> tuple[list[bytes], Source]:
    path.write_bytes(content)
    source = Source(path)
    return list(source.lines()), source


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_plain_and_gzipped_files_give_the_same_lines(tmp_path: Path, end: bytes, pack) -> None:
    content = end.join(LINES) + end
    assert len(content) > 2 * BLOCK
    lines, source = lines_of(tmp_path / "file", pack(content))
    assert lines == LINES
    assert source.damage is None
    assert source.done == source.size


def test_a_last_line_without_an_end_counts(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "file", b"a\n\nb")[0] == [b"a", b"b"]


def test_gzip_files_joined_one_after_another_are_one_file(tmp_path: Path) -> None:
    joined = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + gzip.compress(b"d\n")
    assert lines_of(tmp_path / "file", joined)[0] == [b"a", b"bc", b"d"]


@given(cut=st.integers(min_value=3, max_value=len(gzip.compress(b"\n".join(LINES))) - 1))
def test_a_half_written_gzip_gives_every_line_that_can_be_read(tmp_path_factory, cut: int) -> None:
    packed = gzip.compress(b"\n".join(LINES))
    lines, source = lines_of(tmp_path_factory.mktemp("cut") / "file", packed[:cut])
    assert source.damage == "truncated_file"
    assert lines == LINES[: len(lines)]
    assert len(lines) == len(LINES) or LINES[len(lines)].startswith(source.tail)


def test_a_half_written_gzip_gives_about_as_much_as_was_written(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(LINES))
    lines, _ = lines_of(tmp_path / "file", packed[: len(packed) * 9 // 10])
    assert len(lines) > len(LINES) * 0.8


def test_rubbish_in_a_gzip_stops_the_reading_and_says_so(tmp_path: Path) -> None:
    lines, source = lines_of(tmp_path / "file", gzip.compress(b"a\nb\n") + b"\0\0 no gzip")
    assert lines == [b"a", b"b"]
    assert source.damage == "corrupt_gzip"
