"""JSON Lines and CSV files, one line after the other: a line that cannot be read is told, too.

A line is never longer in memory than a bound; what goes beyond is passed over, and is one broken
line.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, TypeAlias

MAX_LINE_BYTES = 2**24  # of a row in JSON, its messages and solutions together
MAX_FIELD_CHARACTERS = 2**20  # of a CSV's field; longer than any text that is used
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class BrokenLine:
    """A line that holds no row.

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


def csv_rows(path: Path) -> Iterator[Sized]:
    """The rows of a CSV file with a line of column names; an empty field is no value.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has no column names, or one of them twice.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = _CsvReader(file)
        names = reader.next_fields()
        if not isinstance(names, list) or not any(names):
            raise ValueError(f"{path.name} has no line of column names")
        if len(set(names)) < len(names):
            raise ValueError(f"{path.name} has a column name twice: {sorted(names)}")
        while (fields := reader.next_fields()) is not None:
            num_bytes = sum(map(len, fields))
            yield _csv_row(fields, names, f"{path.name}:{reader.line}"), num_bytes


def _csv_row(fields: list[str] | str, names: list[str], place: str) -> Row | BrokenLine:
    if isinstance(fields, str):
        return BrokenLine(place, "line that is no CSV", fields)
    if len(fields) != len(names):
        shown = ",".join(fields)[:SHOWN_BYTES]
        return BrokenLine(place, "line with more or fewer fields than columns", shown)
    return {name: field or None for name, field in zip(names, fields, strict=True)}


class _CsvReader:
    """The standard library's reader, which goes on behind a line that it refuses."""

    def __init__(self, file: TextIO) -> None:
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        self._reader = csv.reader(_text_lines(file), strict=True)
        self.line = 0

    def next_fields(self) -> list[str] | str | None:
        """The fields of the next row, what the library says against it, or None at the end."""
        with suppress(StopIteration):
            while True:
                self.line = self._reader.line_num + 1
                try:
                    fields = next(self._reader)
                except csv.Error as error:
                    return str(error)
                if fields:  # an empty line is none
                    return fields
        return None


def _text_lines(file: TextIO) -> Iterator[str]:
    """Lines in parts that a field's bound cuts off before memory is full."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line


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
