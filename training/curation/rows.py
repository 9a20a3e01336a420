"""The rows of a source's files, whatever their format, in batches that fit into memory."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from contracts.errors import DataError
from contracts.formats import ROW_SUFFIXES
from contracts.texts import marked
from training.curation.csv_rows import csv_rows
from training.curation.lines import BrokenLine, Row, json_rows, row_batches
from training.recipe.sources import SourceRecipe
from training.tables import BATCH_BYTES, MAX_BATCH_ROWS, arrow_batches, cells, parquet_batches

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
    files = sorted((one for one in folder.rglob("*") if one.suffix.lower() in suffixes), key=str)
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
    columns = [cells(table.column(name)) for name in names]
    if not columns:
        return [{} for _ in range(len(table))]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
