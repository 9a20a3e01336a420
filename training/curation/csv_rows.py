"""CSV files: a record that cannot be read is told with its text, and takes no whole row with it."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from training.curation.lines import MAX_LINE_BYTES, SHOWN_BYTES, BrokenLine, Row, Sized

MAX_FIELD_CHARACTERS = 2**20  # longer than any text that is used
SURE_ROWS = 100  # so many behind one another are no text whose lines happen to look like rows
# A quote opens a field only at its start; behind that it is a character, such as an inch mark.
_QUOTED = re.compile(r'(?<![^,])"(?:[^"]|"")*+"')
_FIELD = rf'(?:{_QUOTED.pattern}|(?:[^",\r\n][^,\r\n]*+)?+)'
_FIELDS = re.compile(rf"{_FIELD}(?:,{_FIELD})*+[\r\n]*")
# A line that opens a quoted field and does not close it; `",7` rather closes one.
_OPENS = re.compile(rf'(?:{_FIELD},)*+"[^",\r\n](?:[^"]|"")*+')
_CLOSES = re.compile(r'"[ \t]*+(?:[,\r\n]|\Z)')  # a quote at a field's end that opened none there


def csv_rows(path: Path) -> Iterator[Sized]:
    """The rows of a CSV file with a line of column names; an empty field is no value.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has no column names, or one of them twice.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = _Lines(file)
        reader = csv.reader(lines, strict=True)
        names = _column_names(reader, path.name)
        while (row := _next_row(reader, lines, names, path.name)) is not None:
            if row:
                yield row, sum(map(len, lines.record))


def _column_names(reader: Iterator[list[str]], file_name: str) -> list[str]:
    try:
        names = next(filter(None, reader), [])
    except csv.Error:
        names = []
    if not any(names):
        raise ValueError(f"{file_name} has no line of column names")
    if len(set(names)) < len(names):
        raise ValueError(f"{file_name} has a column name twice: {sorted(names)}")
    return names


def _next_row(
    reader: Iterator[list[str]], lines: "_Lines", names: list[str], file_name: str
) -> Row | BrokenLine | None:
    """The next record, which is no row if it is broken; `{}` for an empty line, None at the end."""
    lines.begin_record()
    try:
        fields = next(reader, None)
    except csv.Error:
        _end_broken_record(lines, len(names))
        fault = "that is no CSV"
    else:
        if fields is None:
            return None
        if len(fields) in (0, len(names)):
            return {name: field or None for name, field in zip(names, fields, strict=False)}
        fault = "with more or fewer fields than columns"
    what = "line" if lines.record_lines == 1 else f"record of {lines.record_lines} lines"
    place = f"{file_name}:{lines.number - lines.record_lines + 1}"
    return BrokenLine(place, f"{what} {fault}", "".join(lines.record)[:SHOWN_BYTES])


def _end_broken_record(lines: "_Lines", num_columns: int) -> None:
    """Decides how many lines belong to a record that cannot be read.

    A quote that nothing closes makes one record of all lines up to the next quote, which are rows
    then; a text over several lines with a quote too many is one record, and none of its lines is
    a row. So it is the first line alone if that has as many fields as a row, and those behind it
    are whole rows, up to one that opens a quoted field of its own, to the end, or `SURE_ROWS` of
    them. Otherwise it ends with the line where its quotes are even.

    Args:
        lines: Has given as much of the record as the reader has read; is left behind its end.
        num_columns: What a row has.
    """
    is_open = lines.record_lines > 1 or _is_odd(lines.record[0])
    lines.put_back()
    is_row = _num_fields(lines.record[0]) == num_columns
    while is_open and lines.record_lines <= SURE_ROWS and (line := next(lines, None)) is not None:
        is_open = is_open != _is_odd(line)
        opens = _OPENS.fullmatch(line) is not None
        if not (is_row and (opens or _is_whole_row(line, num_columns))):
            while is_open and (line := lines.pass_over()):
                is_open = is_open != _is_odd(line)
            return
        is_open = is_open and not opens
    lines.put_back()


def _is_odd(line: str) -> bool:
    """Whether a line opens a quoted field, or closes one, that it does not close or open."""
    return line.count('"') % 2 == 1


def _is_whole_row(line: str, num_columns: int) -> bool:
    """Whether a line by itself is a row, and does not rather close a text; an empty one may be."""
    if line.isspace():
        return True
    if len(line) > MAX_FIELD_CHARACTERS or not _FIELDS.fullmatch(line):
        return False
    closes_text = _is_odd(line) and _CLOSES.search(_QUOTED.sub("", line))
    return not closes_text and _num_fields(line) == num_columns


def _num_fields(line: str) -> int:
    """How many fields a line has, where a quote that is not closed is a character like others."""
    return _QUOTED.sub("", line).count(",") + 1


class _Lines:
    """The lines of a file, an iterator; those behind a record's first may be put back.

    Of a line that is too long, the beginning, and a quote if the rest has an odd number of them.

    Attributes:
        number: How many were taken.
        record: Those of the record that is being read, as far as they are kept.
        record_lines: How many that record has.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._ahead = file, deque[str]()
        self.number, self.record_lines = 0, 0
        self.record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._take()
        if not line:
            raise StopIteration
        self.record.append(line)
        return line

    def begin_record(self) -> None:
        self.record, self.record_lines = [], 0

    def put_back(self) -> None:
        """Puts back all lines of the record but its first."""
        self._ahead.extendleft(reversed(self.record[1:]))
        self.number -= self.record_lines - 1
        self.record, self.record_lines = self.record[:1], 1

    def pass_over(self) -> str:
        """The next line, of which no more is kept than is shown; empty at the end."""
        line = self._take()
        if line and len(self.record) < SHOWN_BYTES:
            self.record.append(line[:SHOWN_BYTES])
        return line

    def _take(self) -> str:
        line = self._ahead.popleft() if self._ahead else self._read()
        if line:
            self.number += 1
            self.record_lines += 1
        return line

    def _read(self) -> str:
        line = part = self._file.readline(MAX_LINE_BYTES)
        is_odd = False
        while len(part) == MAX_LINE_BYTES and part[-1] not in "\r\n":
            part = self._file.readline(MAX_LINE_BYTES)
            is_odd = is_odd != _is_odd(part)
        return line + '"' * is_odd
