"""The rows of a source's files, whatever their format, in batches that fit into memory."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from contracts.errors import DataError
from contracts.formats import ROW_SUFFIXES
from contracts.texts import marked
from training.curation.batches import (
    BATCH_BYTES,
    MAX_BATCH_ROWS,
    arrow_batches,
    parquet_batches,
)
from training.curation.lines import BrokenLine, Row, csv_rows, json_rows, row_batches
from training.recipe.sources import SourceRecipe

_NAMES: Mapping[str, str] = {
    "parquet": "whole Parquet files with the same columns",
    "jsonl": "files with one JSON object a line",
    "csv": "CSV files with a line of column names",
    "arrow": "Arrow files of a folder that `datasets` saved, with the same columns",
}


@dataclass(frozen=True)
class RowBatch:
    """Some rows of a source.

    Attributes:
        columns: Names of the columns that these rows have, in the file's order.
        rows: Values of the columns that were asked for; or a line that holds no row.
    """

    columns: list[str]
    rows: list[Row | BrokenLine]


def read_rows(source: SourceRecipe, folder: Path, wanted: Set[str] | None) -> Iterator[RowBatch]:
    """The rows of a folder's files of the source's kind, in the order of their names.

    Args:
        source: What is read; for errors, its name.
        folder: The files, at whatever depth.
        wanted: Names of columns whose values are read where they exist; None for all.

    Raises:
        DataError: A file cannot be read, or there are no rows.
    """
    num_rows = 0
    batches = _batches(source.kind, folder, wanted)
    while True:
        try:
            batch = next(batches, None)
            if batch is None and num_rows == 0:
                raise ValueError("there are no rows")
        except Exception as error:  # a broken file may cause any
            raise _unreadable(source, error) from error
        if batch is None:
            return
        num_rows += len(batch.rows)
        yield batch


def _unreadable(source: SourceRecipe, error: Exception) -> DataError:
    reason = " ".join(f"{error}".split())
    return DataError(
        f"The source {source.name} cannot be read: {marked(reason)[:500]}",
        where=f"recipe, sources.{source.name}.path = {source.path!r}",
        rule=f"a source is one or several {_NAMES[source.kind]}",
        fix="write the file again, or correct `kind`",
    )


def _batches(kind: str, folder: Path, wanted: Set[str] | None) -> Iterator[RowBatch]:
    suffixes = next(found for name, found in ROW_SUFFIXES.items() if name == kind)
    files = sorted((one for one in folder.rglob("*") if one.suffix in suffixes), key=str)
    if not files:
        raise ValueError(f"there is no {' or '.join(suffixes)} file")
    if kind in ("parquet", "arrow"):
        for table in parquet_batches(files) if kind == "parquet" else arrow_batches(files):
            yield RowBatch(list(table.column_names), _table_rows(table, wanted))
        return
    lines = json_rows if kind == "jsonl" else csv_rows
    for rows in row_batches(files, lines, MAX_BATCH_ROWS, BATCH_BYTES):
        names = dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)
        yield RowBatch(list(names), rows)


def _table_rows(table: pa.Table, wanted: Set[str] | None) -> list[Row | BrokenLine]:
    names = [name for name in table.column_names if wanted is None or name in wanted]
    columns = [_cells(table.column(name)) for name in names]
    if not columns:
        return [{} for _ in range(len(table))]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _cells(column: pa.ChunkedArray) -> list[Any]:
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
