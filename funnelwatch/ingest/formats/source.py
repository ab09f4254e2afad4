"""Lines of a plain or gzipped file, also of one that was cut off in the middle."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"


class Source:
    """A file to read once. `done` of `size` bytes (as stored) have been read; `damage` says what stopped the reading early."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = os.path.getsize(path)
        self.done = 0
        self.damage: str | None = None  # "truncated_file" | "corrupt_gzip"
        self.tail = b""  # the unfinished line before the damage

    def lines(self) -> Iterator[bytes]:
        """Complete lines without their ends, and the last one whether or not it has an end. Blank lines are left out."""
        rest = b""
        for block in self._blocks():
            pieces = (rest + block).split(b"\n")
            rest = pieces.pop()
            for piece in pieces:
                if line := piece.rstrip(b"\r"):
                    yield line
        if self.damage:
            self.tail = rest
        elif rest:
            yield rest

    def _blocks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            blocks = iter(lambda: file.read(BLOCK), b"")
            for block in self._unzip(blocks) if zipped else blocks:
                self.done = file.tell()
                yield block

    def _unzip(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        # Not gzip.open: on a cut-off file it throws away the last readable block.
        member = zlib.decompressobj(wbits=31)
        for block in blocks:
            while block:
                if member.eof:
                    member = zlib.decompressobj(wbits=31)
                try:
                    yield member.decompress(block)
                except zlib.error:
                    self.damage = "corrupt_gzip"
                    return
                block = member.unused_data
        if not member.eof:
            self.damage = "truncated_file"
