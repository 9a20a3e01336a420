"""Parquet files from outside, a few rows at a time, and the values of their cells.

A file of some hundred bytes may unfold to gigabytes: its columns name a value that is written once
as often as they like. So a batch has as many rows as fit into memory when each is as large as the
file allows.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from datasets.table import table_cast

from contracts.errors import DataError
from contracts.texts import marked
from training.records import EncodedImage

BATCH_BYTES, MAX_BATCH_ROWS = 128 * 2**20, 1024
DICTIONARY_PAGE = 2  # in a page's header
HEADER_BYTES = 32  # more than the two numbers that are read of it


def parquet_files(folder: Path) -> list[Path]:
    """A folder's Parquet files, at whatever depth, in the order of their names."""
    return sorted(folder.rglob("*.parquet"), key=str)


def batches(files: Sequence[Path], *, name: str, where: str) -> Iterator[pa.Table]:
    """The rows of Parquet files, in the files' order, with the first one's columns.

    Args:
        files: At least one.
        name: What they are, for errors, such as `The source mmrl`.
        where: Where a person corrects what is wrong with them.

    Raises:
        DataError: A file cannot be read or has other columns, or there are no rows.
    """
    try:
        # By way of `datasets`, whose own types a file may declare.
        if not files:
            raise ValueError("there are no Parquet files")
        schema = Features.from_arrow_schema(pq.read_schema(files[0])).arrow_schema
        for path in files:  # the later ones, too, of which no row may be wanted
            table_cast(pq.read_schema(path).empty_table(), schema)
        num_rows = 0
        for path in files:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                rows = _num_rows(path, file.metadata)
                for batch in file.iter_batches(rows, use_threads=False):
                    num_rows += len(batch)
                    yield table_cast(pa.Table.from_batches([batch]), schema)
        if num_rows == 0:
            raise ValueError("there are no rows")
    except Exception as error:  # a broken file may cause any
        reason = " ".join(f"{error} {error.__cause__ or ''}".split())
        raise DataError(
            f"{name} cannot be read: {marked(reason)[:500]}",
            where=where,
            rule="it is one or several whole Parquet files with the same columns",
            fix="write the file again",
        ) from error


def _num_rows(path: Path, metadata: pq.FileMetaData) -> int:
    """How many rows of a file are read at once."""
    with path.open("rb") as file:
        row_bytes = [
            sum(
                _largest_repeated(file.fileno(), metadata.row_group(group).column(column))
                for column in range(metadata.num_columns)
            )
            for group in range(metadata.num_row_groups)
        ]
    fitting = BATCH_BYTES // max([*row_bytes, 1])
    return max(1, min(fitting, MAX_BATCH_ROWS))


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
    """A column's values; texts as they lie in the file, and None for what Python cannot hold."""
    with suppress(pa.ArrowException):  # not every nested type can be cast
        column = column.cast(_with_raw_texts(column.type))
    return [_cell(scalar) for scalar in column]


def _with_raw_texts(kind: pa.DataType) -> pa.DataType:
    """The type with bytes in place of strings: a file may hold anything as such."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_with_raw_texts(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_raw_texts(field.type)) for field in kind])
    return kind


def _cell(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, LookupError):  # years beyond 9999, unknown time zones
        return None


def text_of(value: object) -> str | None:
    """A value as text; bytes that are no UTF-8 become U+FFFD, for which the row is rejected."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing or not str(value).strip() else str(value).strip()


def images_of(value: object) -> list[EncodedImage]:
    """One image or several, as structs of `bytes` and `path` or as bare bytes.

    Anything else is an image without bytes, which the verifiability filter rejects.
    """
    images = value if isinstance(value, list) else [] if value is None else [value]
    held = [image.get("bytes") if isinstance(image, dict) else image for image in images]
    return [{"bytes": one if isinstance(one, bytes) else b"", "path": None} for one in held]
