"""JSON Lines files, one line after the other: a line that cannot be read is told, too.

A line is never longer in memory than a bound; what goes beyond is passed over, and is one broken
line.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

MAX_LINE_BYTES = 2**24  # of a row in JSON, its messages and solutions together
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class BrokenLine:
    """A line, or several of one record, that holds no row.

    Attributes:
        place: The file's name and the line's number, from 1: `rows.jsonl:17`.
        reason: What is wrong, in words that are the same for all lines with that fault.
        text: How it begins.
    """

    place: str
    reason: str
    text: str


Row: TypeAlias = dict[str, object]
Sized: TypeAlias = tuple[Row | BrokenLine, int]  # a row and the bytes that it took in its file
RowsOf: TypeAlias = Callable[[Path], Iterator[Sized]]


def json_rows(path: Path) -> Iterator[Sized]:
    """The rows of a file with one JSON object a line; empty lines are none.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), start=1):
            if line.strip():
                yield _json_row(line, f"{path.name}:{number}"), len(line)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of at most MAX_LINE_BYTES + 1 bytes; the rest of a longer one is passed over."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while not line.endswith(b"\n") and (more := file.readline(MAX_LINE_BYTES)):
            line = more


def _json_row(line: bytes, place: str) -> Row | BrokenLine:
    def broken(reason: str) -> BrokenLine:
        return BrokenLine(place, reason, line[:SHOWN_BYTES].decode("utf-8", "replace"))

    if len(line) > MAX_LINE_BYTES:
        return broken("line that is too long")
    # Bytes that are no UTF-8 become U+FFFD, for which the row's text is rejected later.
    text = line.decode("utf-8-sig" if place.endswith(":1") else "utf-8", "replace")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):  # numbers of 5,000 digits, a list in a list in ...
        return broken("line that is no JSON")
    return row if isinstance(row, dict) else broken("line that is no JSON object")


def row_batches(
    files: Sequence[Path], rows_of: RowsOf, max_rows: int, max_bytes: int
) -> Iterator[list[Row | BrokenLine]]:
    """The rows of all files in lists of at most `max_rows`, which end once `max_bytes` are full."""
    batch, full_bytes = list[Row | BrokenLine](), 0
    for path in files:
        for row, num_bytes in rows_of(path):
            batch.append(row)
            full_bytes += num_bytes
            if len(batch) == max_rows or full_bytes >= max_bytes:
                yield batch
                batch, full_bytes = [], 0
    if batch:
        yield batch
