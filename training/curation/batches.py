"""A source's Parquet files, a few rows at a time.

A file of some hundred bytes may unfold to gigabytes: its columns name a value that is written once
as often as they like. So a batch has as many rows as fit into memory when each is as large as the
file allows.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from datasets.table import table_cast

from contracts.errors import DataError
from contracts.texts import marked
from training.recipe.recipe import SourceRecipe

BATCH_BYTES, MAX_BATCH_ROWS = 128 * 2**20, 1024
DICTIONARY_PAGE = 2  # in a page's header
HEADER_BYTES = 32  # more than the two numbers that are read of it


def batches(source: SourceRecipe, folder: Path) -> Iterator[pa.Table]:
    """The rows of a folder's files, in the order of their names, with the first one's columns.

    Raises:
        DataError: A file cannot be read or has other columns, or there are no rows.
    """
    try:
        files = sorted(folder.rglob("*.parquet"), key=str)
        # By way of `datasets`, whose own types a file may declare.
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
            f"The source {source.name} cannot be read: {marked(reason)[:500]}",
            where=f"recipe, sources.{source.name}.path = {source.path!r}",
            rule="a source is one or several whole Parquet files with the same columns",
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
