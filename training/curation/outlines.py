"""What is held of the rows that may be asked: outlines; the rows themselves stay in their files.

A row with its trace and its pictures takes from some thousand bytes to some million. Difficulty,
topics and selection need a hundred of them, which lie in columns; a row is known by its place in
these. The files are read again for the rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.curation.shards import PROBLEM_COLUMNS, problems_of, read_table
from training.records import Problem
from training.tables import GROUP_BYTES, MAX_GROUP_ROWS

MAX_PARTS = 512  # files that are open at once
_PLACE = "place"
_NAME = pa.dictionary(pa.int32(), pa.string())

Places: TypeAlias = npt.NDArray[np.int64]  # of rows, in outlines or in files
Outlines: TypeAlias = pa.Table
# Beside columns of `training.records.Problem`: which row of the files it is, the lengths of its
# texts (null where there is no trace), and the bytes that the whole row takes in memory, about.
OUTLINE = pa.schema(
    {
        "row": pa.int64(),
        "id": pa.large_string(),
        "source": _NAME,
        "modality": _NAME,
        "family": _NAME,
        "level": pa.int32(),
        "pass_rate": pa.float64(),
        "question_characters": pa.int64(),
        "solution_characters": pa.int64(),
        "num_bytes": pa.int64(),
    }
)


class Questions:
    """The questions of rows, read from their files whenever somebody goes through them.

    Args:
        files: With a problem's columns.
        rows: Numbers of rows of the files, ascending.
    """

    def __init__(self, files: Sequence[Path], rows: Places) -> None:
        self._files, self._rows = files, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        for table in _tables_at(self._files, self._rows, ["question"]):
            yield from table["question"].to_pylist()

    def at(self, places: Places) -> list[str]:
        """The questions at some places, which ascend."""
        return list(Questions(self._files, self._rows[places]))


def outlined(files: Iterable[Path]) -> Outlines:
    """The outlines of all rows of files with a problem's columns, in order."""
    tables, start = [OUTLINE.empty_table()], 0
    for path in files:
        table = read_table(path)
        tables.append(outline_of(table, start))
        start += len(table)
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def outline_of(table: pa.Table, start: int = 0) -> Outlines:
    """The outlines of a table with a problem's columns, whose first row has the number `start`."""
    columns = {name: table[name] for name in OUTLINE.names if name in table.column_names}
    columns |= {
        "row": pa.array(np.arange(start, start + len(table))),
        "question_characters": pc.utf8_length(table["question"]),
        "solution_characters": pc.utf8_length(table["solution"]),
        "num_bytes": pa.array(_row_bytes(table)),
    }
    return pa.table({field.name: columns[field.name].cast(field.type) for field in OUTLINE})


def column_of(outlines: Outlines, name: str) -> npt.NDArray[np.float64]:
    """A column of numbers [N], NaN where there is none."""
    return np.array(outlines[name].cast(pa.float64()).to_numpy())


def numbered(names: pa.Array | pa.ChunkedArray) -> tuple[Places, list[str]]:
    """The place of each name in the list of all [N], and that list, sorted."""
    column = pa.chunked_array([names]) if isinstance(names, pa.Array) else names
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    place_of = np.empty(len(found), dtype=np.int64)
    place_of[order] = np.arange(len(found))
    return place_of[encoded.indices.to_numpy()], [found[place] for place in order]


def rows_at(files: Sequence[Path], rows: Places) -> Iterator[Problem]:
    """Rows of files with a problem's columns, as they came.

    Args:
        files: The files.
        rows: Numbers of the rows, ascending.
    """
    for table in _tables_at(files, rows):
        yield from problems_of(table)


def traces_at(files: Sequence[Path], rows: Places) -> Iterator[tuple[str, str | None]]:
    """The question and the trace, if it has one, of rows whose numbers ascend."""
    for table in _tables_at(files, rows, ["question", "solution"]):
        yield from zip(table["question"].to_pylist(), table["solution"].to_pylist(), strict=True)


def whole(outlines: Outlines, files: Sequence[Path]) -> Iterator[Problem]:
    """The problems of outlines, in their order, with their levels and pass rates.

    A file with such rows is read once, and each goes into the part of the order where it belongs;
    then the parts are read one after the other. So memory holds one file or one part.

    Args:
        outlines: Of rows of the files, none twice.
        files: With a problem's columns.
    """
    if len(outlines) == 0:
        return
    starts = _starts(outlines["num_bytes"].to_numpy())
    place_of = np.full(sum(map(_num_rows, files)), -1)
    place_of[outlines["row"].to_numpy()] = np.arange(len(outlines))
    with TemporaryDirectory(prefix="parts-", dir=files[0].parent) as folder:
        parts = [Path(folder, str(start)) for start in starts]
        _part(files, place_of, starts, parts)
        for start, path in zip(starts, parts, strict=True):
            table = read_table(path)
            path.unlink()
            ordered = table.take(pa.array(np.argsort(table[_PLACE].to_numpy())))
            own = outlines.slice(start, len(ordered))
            for name in ("level", "pass_rate"):
                place = ordered.column_names.index(name)
                ordered = ordered.set_column(place, name, own[name])
            for begin in range(0, len(ordered), MAX_GROUP_ROWS):
                yield from problems_of(ordered.slice(begin, MAX_GROUP_ROWS))


def _part(
    files: Sequence[Path], place_of: Places, starts: Sequence[int], parts: Sequence[Path]
) -> None:
    """Writes every row that has a place into its part's file, with the place."""
    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []
        first = 0
        for path in files:
            places = place_of[first : first + _num_rows(path)]
            first += len(places)
            if (places < 0).all():
                continue
            table = read_table(path).select(PROBLEM_COLUMNS)
            table = table.append_column(_PLACE, pa.array(places, pa.int64()))
            writers = writers or [
                stack.enter_context(pq.ParquetWriter(part, table.schema, compression="zstd"))
                for part in parts
            ]
            owners = np.searchsorted(starts, places, side="right") - 1  # -1: of no part
            for number in np.unique(owners[owners >= 0]).tolist():
                own = np.flatnonzero(owners == number)
                writers[number].write_table(table.take(pa.array(own)))


def _starts(sizes: npt.NDArray[np.int64]) -> list[int]:
    """Where parts begin, so that none has more bytes than it should, or it has one row."""
    most = max(GROUP_BYTES, ceil(2 * int(sizes.sum()) / MAX_PARTS))
    starts, num_bytes = [0], 0
    for place, size in enumerate(sizes.tolist()):
        if num_bytes and num_bytes + size > most:
            starts.append(place)
            num_bytes = 0
        num_bytes += size
    return starts


def _tables_at(
    files: Sequence[Path], rows: Places, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Of each file that has some, the rows that are asked for, whose numbers ascend."""
    start = 0
    for path in files:
        end = start + _num_rows(path)
        first, last = np.searchsorted(rows, [start, end])
        if first < last:
            yield read_table(path, columns).take(pa.array(rows[first:last] - start))
        start = end


def _num_rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _row_bytes(table: pa.Table) -> npt.NDArray[np.int64]:
    """Bytes of each row's texts and pictures [N]."""
    num_bytes = np.zeros(len(table), dtype=np.int64)
    for field in table.schema:
        if pa.types.is_string(field.type):
            num_bytes += pc.binary_length(table[field.name]).fill_null(0).to_numpy()
    images = table["images"].combine_chunks()
    sizes = pc.binary_length(pc.struct_field(images.flatten(), "bytes")).fill_null(0).to_numpy()
    np.add.at(num_bytes, pc.list_parent_indices(images).to_numpy(), sizes)
    return num_bytes
