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
from training.tables import GROUP_BYTES, size_of

MAX_PARTS = 512  # files that are open at once
_PLACE = "place"


class Outline(TypedDict):
    """A problem without what is large.

    Fields:
        solution_characters: Length of its trace, None where it has none.
        num_bytes: That the whole row takes in memory, about.

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
    num_bytes: int


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
        num_bytes=size_of(dict(problem)),
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
    starts = _starts([row["num_bytes"] for row in outlines])
    place_of = {row["id"]: place for place, row in enumerate(outlines)}
    with TemporaryDirectory(prefix="parts-", dir=files[0].parent) as folder:
        parts = [Path(folder, str(start)) for start in starts]
        _part(files, place_of, starts, parts)
        for path in parts:
            table = read_table(path)
            path.unlink()
            ordered = table.take(pa.array(np.argsort(table[_PLACE].to_numpy())))
            places = ordered[_PLACE].to_pylist()
            for place, problem in zip(places, problems_of(ordered), strict=True):
                row = outlines[place]
                yield {**problem, "level": row["level"], "pass_rate": row["pass_rate"]}


def _part(
    files: Sequence[Path], place_of: dict[str, int], starts: Sequence[int], parts: Sequence[Path]
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
            owners = np.searchsorted(starts, places, side="right") - 1  # -1: of no part
            for number in np.unique(owners[owners >= 0]).tolist():
                own = np.flatnonzero(owners == number)
                writers[number].write_table(table.take(pa.array(own)))


def _starts(sizes: Sequence[int]) -> list[int]:
    """Where parts begin, so that none has more bytes than it should, or it has one row."""
    most = max(GROUP_BYTES, ceil(2 * sum(sizes) / MAX_PARTS))
    starts, num_bytes = [0], 0
    for place, size in enumerate(sizes):
        if num_bytes and num_bytes + size > most:
            starts.append(place)
            num_bytes = 0
        num_bytes += size
    return starts
