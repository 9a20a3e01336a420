"""What is held of the rows that may be asked: outlines; the rows themselves stay in their files.

A row with its trace and its pictures takes from some thousand bytes to some million. Difficulty,
topics and selection need a few hundred of them, and the files are read again for the rest.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.curation.shards import PROBLEM_COLUMNS, problems_of, read_table, read_usable
from training.records import Modality, Problem
from training.tables import GROUP_BYTES

MAX_PARTS = 512  # files that are open at once
_PLACE = "place"


class Outline(TypedDict):
    """A problem without what is large.

    Fields:
        solution_characters: Length of its trace, None where it has none.

    The others are those of `training.records.Problem`.
    """

    id: str
    source: str
    modality: Modality
    family: str
    level: int | None
    question: str
    pass_rate: float | None
    solution_characters: int | None


def outline_of(problem: Problem) -> Outline:
    """A problem's outline; a word that many rows share is held once."""
    trace = problem["solution"]
    return Outline(
        id=problem["id"],
        source=sys.intern(problem["source"]),
        modality=cast(Modality, sys.intern(problem["modality"])),
        family=sys.intern(problem["family"]),
        level=problem["level"],
        question=problem["question"],
        pass_rate=problem["pass_rate"],
        solution_characters=None if trace is None else len(trace),
    )


def outlined(files: Iterable[Path]) -> list[Outline]:
    """The outlines of all rows of files with a problem's columns, in order."""
    return [outline_of(problem) for problem in read_usable(files)]


def whole(outlines: Sequence[Outline], files: Sequence[Path]) -> Iterator[Problem]:
    """The problems of outlines, in their order, with their levels and pass rates.

    The files are read once, and each row that is asked for goes into the part of the order where
    it belongs; then the parts are read one after the other. So memory holds one file or one part.

    Args:
        outlines: Of rows of the files, none twice.
        files: With a problem's columns, and unique ids.
    """
    if not outlines:
        return
    num_bytes = sum(map(_num_bytes, files))
    rows_of_part = ceil(len(outlines) / min(max(num_bytes // GROUP_BYTES, 1), MAX_PARTS))
    place_of = {row["id"]: place for place, row in enumerate(outlines)}
    with TemporaryDirectory(prefix="parts-", dir=files[0].parent) as folder:
        parts = [Path(folder, str(start)) for start in range(0, len(outlines), rows_of_part)]
        _part(files, place_of, rows_of_part, parts)
        for path in parts:
            table = read_table(path)
            path.unlink()
            ordered = table.take(pa.array(np.argsort(table[_PLACE].to_numpy())))
            places = ordered[_PLACE].to_pylist()
            for place, problem in zip(places, problems_of(ordered), strict=True):
                row = outlines[place]
                yield {**problem, "level": row["level"], "pass_rate": row["pass_rate"]}


def _part(
    files: Sequence[Path], place_of: dict[str, int], rows_of_part: int, parts: Sequence[Path]
) -> None:
    """Writes every row that has a place into its part's file, with the place."""
    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []
        for path in files:
            table = read_table(path).select(PROBLEM_COLUMNS)
            places = np.array([place_of.get(id_, -1) for id_ in table["id"].to_pylist()])
            table = table.append_column(_PLACE, pa.array(places, pa.int64()))
            writers = writers or [
                stack.enter_context(pq.ParquetWriter(part, table.schema, compression="zstd"))
                for part in parts
            ]
            owners = np.where(places < 0, -1, places // rows_of_part)
            for number in np.unique(owners[owners >= 0]).tolist():
                own = np.flatnonzero(owners == number)
                writers[number].write_table(table.take(pa.array(own)))


def _num_bytes(path: Path) -> int:
    metadata = pq.read_metadata(path)
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.total_byte_size for group in groups)
