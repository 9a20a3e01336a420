"""CSV files: a record that cannot be read is told with its text, and takes no whole row with it.

A quote that is missing or one too many leaves open where its record ends; the lines tell, by
themselves. What they cannot tell:

- A line of a damaged text that is a row by itself is read as one. So is a record of one line
  that lost its opening quote, if its text has no comma.
- Where a text over several lines that lost its closing quote ends, if neither an opening quote nor
  rows of `SURE_COMMAS` commas follow before the file ends: its rest goes along.
- Whether a quote at the end of a field that has none at its start is a character: read as one in
  a row, but behind a line that is none it ends that line's text.
- Whether an open quote that meets such a one, with fewer rows between, is a text over several
  lines; it is read as one. With more, it is none, also where a text has such lines.
"""

import csv
import re
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from training.curation.lines import MAX_LINE_BYTES, SHOWN_BYTES, BrokenLine, Row, Sized

MAX_FIELD_CHARACTERS = 2**20  # longer than any text that is used
SURE_COMMAS = 8  # of rows behind one another: no text whose lines happen to look like rows
MAX_TAIL_LINES = 1000  # of a text that nothing opened, behind its first
# A quote opens a field only at its start; behind that it is a character, such as an inch mark.
_QUOTED = re.compile(r'(?<![^,])"(?:[^"]|"")*+"')
_FIELD = rf'(?:{_QUOTED.pattern}|(?:[^",\r\n][^,\r\n]*+)?+)'
_FIELDS = re.compile(rf"{_FIELD}(?:,{_FIELD})*+[\r\n]*")
_LONE_QUOTE = re.compile(r'(?<!")"(?:"")*+(?!")')  # ends a field that is open
# A line that opens a quoted field and does not close it; `",7` rather closes one.
_OPENS = re.compile(rf'(?:{_FIELD},)*+"(?:"")*+[^",\r\n](?:[^"]|"")*+')
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
        lines.num_columns = len(names)
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
    fault = "that is no CSV"
    try:
        fields = next(reader, None)
    except csv.Error:
        _end_broken_record(lines, len(names), lines.num_lines > 1 or _is_odd(lines.record[0]))
    else:
        if fields is None:
            return None
        is_row = len(fields) in (0, len(names))
        if is_row and not _is_many_rows(lines.record, len(names)):
            return {name: field or None for name, field in zip(names, fields, strict=False)}
        num_read = lines.num_lines
        _end_broken_record(lines, len(names), num_read > 1)
        if num_read == lines.num_lines:
            fault = "with more or fewer fields than columns"
    what, place = "line", f"{file_name}:{lines.number - lines.num_lines + 1}"
    if lines.num_lines > 1:
        what, place = "record of several lines", f"{place}-{lines.number}"
    return BrokenLine(place, f"{what} {fault}", "".join(lines.record)[:SHOWN_BYTES])


def _is_many_rows(record: list[str], num_columns: int) -> bool:
    """Whether a record that reads as one row rather is rows between a quote and a later one.

    That is so if all its lines are rows by themselves, those between surely so; the first one may
    have more fields, by commas in the text whose quote nothing closes.
    """
    if (len(record) - 2) * (num_columns - 1) < SURE_COMMAS:
        return False
    first, *inner, last = record
    return (
        _num_fields(first) >= num_columns == _num_fields(last)
        and _FIELDS.fullmatch(last) is not None
        and all(line.strip() and _is_whole_row(line, num_columns) for line in inner)
    )


def _end_broken_record(lines: "_Lines", num_columns: int, is_open: bool) -> None:
    """Decides how many lines belong to a record that cannot be read.

    A quote that nothing closes makes one record of all lines up to the next quote, which are rows
    then; a text over several lines with a quote too many is one record, and none of its lines is
    a row. So it ends with its first line by which it has as many fields as a row, or more, and
    behind which are whole rows: up to one that opens a quoted field of its own, with
    `SURE_COMMAS`, or, behind its first line, to the end. Otherwise it ends where its quotes are
    even. Looks at each line once.

    Args:
        lines: Has given as much of the record as the reader has read; is left behind its end.
        num_columns: What a row has.
        is_open: Whether a quoted field is open behind the first line.
    """
    lines.keep_first()
    if not is_open:
        _take_tail(lines, num_columns)
        return
    num_fields = _num_fields(lines.record[0])
    ahead, num_commas = list[str](), 0
    while is_open and num_commas < SURE_COMMAS and (line := lines.look()):
        ahead.append(line)
        if num_fields >= num_columns and _OPENS.fullmatch(line):
            break
        if num_fields >= num_columns and _is_whole_row(line, num_columns):
            num_commas += 0 if line.isspace() else num_columns - 1
            continue
        is_open = is_open != _is_odd("".join(ahead))
        num_fields += line.count(",")
        lines.take(ahead)
        ahead, num_commas = [], 0
    else:
        if lines.num_lines > 1 and num_commas < SURE_COMMAS:
            lines.take(ahead)
            return
    lines.put_back(ahead)


def _take_tail(lines: "_Lines", num_columns: int) -> None:
    """Takes the rest of a text that nothing opened, if its first line did not close it.

    These are the lines up to the one that closes it, where none is a row or opens a field.
    """
    if lines.number < lines.no_tail_before or _closes_text(lines.record[0]):
        return
    ahead = list[str]()
    while len(ahead) < MAX_TAIL_LINES and (line := lines.look()):
        ahead.append(line)
        if _closes_text(line):
            lines.take(ahead)
            return
        if _is_whole_row(line, num_columns) or _OPENS.fullmatch(line):
            break
    lines.no_tail_before = lines.number + len(ahead)
    lines.put_back(ahead)


def _is_odd(line: str) -> bool:
    """Whether a line opens a quoted field, or closes one, that it does not close or open."""
    return line.count('"') % 2 == 1


def _closes_text(line: str) -> bool:
    """Whether a line has a quote at a field's end that opened none, and is not the other's pair."""
    return _is_odd(line) and _CLOSES.search(_QUOTED.sub("", line)) is not None


def _is_whole_row(line: str, num_columns: int) -> bool:
    """Whether a line by itself is a row, and does not rather close a text; an empty one may be."""
    if line.isspace():
        return True
    if len(line) > MAX_FIELD_CHARACTERS or not _FIELDS.fullmatch(line):
        return False
    return not _closes_text(line) and _num_fields(line) == num_columns


def _num_fields(line: str) -> int:
    """How many fields a line has, where a quote that is not closed is a character like others."""
    return _QUOTED.sub("", line).count(",") + 1


class _Lines:
    """The lines of a file, an iterator over those of a record; one may look at those behind it.

    Of a line that is too long, the beginning, and a quote if the rest has an odd number of them.

    Attributes:
        number: How many were taken.
        record: Those of the record that is being read, as far as they are kept.
        num_lines: How many that record has.
        num_columns: What a row has. A record that opens more quoted fields than that is not given
            further (`csv.Error`), so that a file of such is not read once more for each line.
        no_tail_before: The number of a line before which nothing closes a text.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._ahead = file, deque[str]()
        self.number, self.num_lines, self.no_tail_before = 0, 0, 0
        self.record: list[str] = []
        self.num_columns, self._num_opened = sys.maxsize, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._num_opened > self.num_columns:
            raise csv.Error("more quoted fields than columns")
        line = self.look()
        if not line:
            raise StopIteration
        self.number += 1
        self.num_lines += 1
        self.record.append(line)
        # A line behind the first one that ends a field opens another, if one more is asked for.
        self._num_opened += self.num_lines > 1 and _LONE_QUOTE.search(line) is not None
        return line

    def begin_record(self) -> None:
        self.record, self.num_lines, self._num_opened = [], 0, 0

    def keep_first(self) -> None:
        """Puts back all lines of the record but its first."""
        self.put_back(self.record[1:])
        self.number -= self.num_lines - 1
        self.record, self.num_lines = self.record[:1], 1

    def look(self) -> str:
        """The next line, which is then taken or put back; empty at the end."""
        return self._ahead.popleft() if self._ahead else self._read()

    def take(self, lines: list[str]) -> None:
        """Takes lines into the record, of which no more is kept than is shown."""
        self.number += len(lines)
        self.num_lines += len(lines)
        room = max(0, SHOWN_BYTES - len(self.record))
        self.record += [line[:SHOWN_BYTES] for line in lines[:room]]

    def put_back(self, lines: list[str]) -> None:
        self._ahead.extendleft(reversed(lines))

    def _read(self) -> str:
        line = part = self._file.readline(MAX_LINE_BYTES)
        is_odd = False
        while len(part) == MAX_LINE_BYTES and part[-1] not in "\r\n":
            part = self._file.readline(MAX_LINE_BYTES)
            is_odd = is_odd != _is_odd(part)
        return line + '"' * is_odd
