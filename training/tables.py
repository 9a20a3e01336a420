"""Parquet files, written and read a few rows at a time, `datasets` folders, and their cells.

A Parquet file of some hundred bytes may unfold to gigabytes: its columns name a value that is
written once as often as they like. So a batch has as many rows as fit into memory when each is as
large as the file allows beside what a row of its group takes in the mean.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from datasets.table import table_cast

BATCH_BYTES, MAX_BATCH_ROWS = 128 * 2**20, 1024
# Of a file that is written. A column of one group must stay below 2 GiB, and far below: whoever
# reads the file reads at least one group.
GROUP_BYTES, MAX_GROUP_ROWS = 64 * 2**20, 10_000
DICTIONARY_PAGE = 2  # in a page's header
HEADER_BYTES = 32  # more than the two numbers that are read of it


def write_rows(rows: Iterable[Mapping[str, Any]], features: Features, path: Path) -> None:
    """Writes rows as one Parquet file that `datasets` reads; parent folders are created.

    Row groups are written one after the other, so that no column has to fit into one Arrow array:
    its offsets have 32 bits, and 2 GiB of text or of images would overflow them.

    Args:
        rows: Each with a value for every feature.
        features: The columns.
        path: The file; it replaces an older one.
    """
    schema = features.arrow_schema  # its metadata tell `datasets` which columns hold images
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema) as writer:
        for group in row_groups(rows):
            columns = {name: [row[name] for row in group] for name in features}
            writer.write_table(pa.Table.from_pydict(columns, schema), row_group_size=len(group))


def row_groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Parts rows into groups of `MAX_GROUP_ROWS` and `GROUP_BYTES` at most, or of one row."""
    group, num_bytes = list[Mapping[str, Any]](), 0
    for row in rows:
        size = size_of(list(row.values()))
        if group and (len(group) == MAX_GROUP_ROWS or num_bytes + size > GROUP_BYTES):
            yield group
            group, num_bytes = [], 0
        group.append(row)
        num_bytes += size
    if group:
        yield group


def size_of(value: object) -> int:
    """Bytes that a value takes in a column, at most: a character of a text may take four."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value) if value.isascii() else 4 * len(value)
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values()))
    if isinstance(value, list):
        return sum(map(size_of, value))
    return 8


def parquet_batches(files: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of Parquet files, one file after the other, with the first one's columns.

    Raises:
        Exception: Of any kind; a file is broken, or has other columns.
    """
    with _named(files[0]):
        # By way of `datasets`, whose own types a file may declare.
        schema = Features.from_arrow_schema(pq.read_schema(files[0])).arrow_schema
    for path in files:  # the later ones, too, of which no row may be wanted
        with _named(path):
            table_cast(pq.read_schema(path).empty_table(), schema)
    for path in files:
        with _named(path), pq.ParquetFile(path, pre_buffer=False) as file:
            rows = _num_rows(path, file.metadata)
            for batch in file.iter_batches(rows, use_threads=False):
                yield table_cast(pa.Table.from_batches([batch]), schema)


def arrow_batches(files: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of the Arrow files of a folder that `datasets` saved, with the first one's columns.

    The files are mapped into memory, and a batch's offsets are checked before anything follows
    them.

    Raises:
        Exception: Of any kind; a file is broken, or has other columns.
    """
    schema: pa.Schema | None = None
    for path in files:
        with (
            _named(path),
            pa.memory_map(str(path)) as data,
            pa.ipc.open_stream(data) as stream,
        ):
            schema = schema or Features.from_arrow_schema(stream.schema).arrow_schema
            table_cast(stream.schema.empty_table(), schema)
            for batch in stream:
                batch.validate(full=True)
                rows = _fitting(batch.nbytes / max(len(batch), 1))
                for start in range(0, len(batch), rows):
                    part = batch.slice(start, rows)
                    yield table_cast(pa.Table.from_batches([part]), schema)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Puts the file's name before whatever is said against it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a broken file may cause any
        raise ValueError(f"{path.name}: {error} {error.__cause__ or ''}") from None


def _num_rows(path: Path, metadata: pq.FileMetaData) -> int:
    """How many rows of a file are read at once."""
    with path.open("rb") as file:
        row_bytes = [
            group.total_byte_size / max(group.num_rows, 1)
            + sum(
                _largest_repeated(file.fileno(), group.column(column))
                for column in range(metadata.num_columns)
            )
            for group in map(metadata.row_group, range(metadata.num_row_groups))
        ]
    return _fitting(max(row_bytes, default=0.0))


def _fitting(row_bytes: float) -> int:
    """How many rows of this size are in a batch."""
    return max(1, min(int(BATCH_BYTES / max(row_bytes, 1.0)), MAX_BATCH_ROWS))


def _largest_repeated(descriptor: int, column: pq.ColumnChunkMetaData) -> int:
    """Bytes of the largest value that a column can repeat without having it written again."""
    start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    kind, num_bytes = _page(os.pread(descriptor, HEADER_BYTES, start))
    # Each value of this encoding may begin as the one before.
    if "DELTA_BYTE_ARRAY" in column.encodings:
        return int(column.total_uncompressed_size)
    return num_bytes if kind == DICTIONARY_PAGE else 0


def _page(header: Sequence[int]) -> tuple[int, int]:
    """Kind and uncompressed bytes of a page: the first fields of its header (compact Thrift)."""
    numbers, position = list[int](), 0
    for _ in range(2):
        number, shift = 0, 0
        position += 1  # the field's own type
        while True:
            byte = header[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        numbers.append((number >> 1) ^ -(number & 1))
    return numbers[0], numbers[1]


def cells(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; None for what Python cannot hold.

    Texts are decoded here: a file may hold anything as such. Bytes that are no UTF-8 become U+FFFD,
    for which the row is rejected.
    """
    kind = column.type
    with suppress(pa.ArrowException):  # not every nested type can be cast
        column = column.cast(_with_raw_texts(kind))
    return [_decoded(_cell(scalar), kind) for scalar in column]


def _with_raw_texts(kind: pa.DataType) -> pa.DataType:
    """The type with bytes in place of strings."""
    if _is_text(kind):
        return pa.large_binary()
    if _is_list(kind):
        return pa.large_list(_with_raw_texts(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_raw_texts(field.type)) for field in kind])
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _cell(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, LookupError):  # years beyond 9999, unknown time zones
        return None


def _decoded(value: object, kind: pa.DataType) -> object:
    """A value with texts where its type has them; they came as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") if _is_text(kind) else value
    if isinstance(value, list) and _is_list(kind):
        return [_decoded(one, kind.value_type) for one in value]
    if isinstance(value, dict) and pa.types.is_struct(kind):
        fields: Sequence[pa.Field] = list(kind)
        return {field.name: _decoded(value.get(field.name), field.type) for field in fields}
    return value
