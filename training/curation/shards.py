"""Shards: the rows of all sources as Parquet files of some ten thousand, read one at a time.

A shard holds every row, also those that are no records, with the reason. What a shard is made of
decides its bytes, and their digest is the name by which what was found in it is found again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Value

from training.curation.step import REJECT_FEATURES, Reject
from training.records import PROBLEM_FEATURES, Problem
from training.tables import row_groups

REFUSED = "refused"  # why a row is no record; null where it is one
# A pass rate is compared with bounds before it is written in single precision.
SHARD_SCHEMA = Features(
    {**PROBLEM_FEATURES, "pass_rate": Value("float64"), REFUSED: Value("string")}
).arrow_schema
PROBLEM_COLUMNS = list(PROBLEM_FEATURES)
REJECT_COLUMNS = [name for name in REJECT_FEATURES if name not in PROBLEM_FEATURES]


@dataclass(frozen=True)
class Rows:
    """The rows of a shard, in their order.

    Attributes:
        problems: Records, and of refused rows what could be read.
        refused: Why each is no record, or None.
    """

    problems: list[Problem]
    refused: list[str | None]


def write_shards(sources: Iterable[Iterable[Rows]], folder: Path) -> Iterator[Path]:
    """Writes each source's rows as shards `000000`, `000001`...; no shard has rows of two sources.

    Args:
        sources: Of each source, its rows in batches.
        folder: Where to; it exists.

    Yields:
        Each file, as soon as it is complete.
    """
    groups = (group for batches in sources for group in row_groups(_lines(batches)))
    for number, group in enumerate(groups):
        columns = {name: [row[name] for row in group] for name in SHARD_SCHEMA.names}
        yield write_shard(pa.Table.from_pydict(columns, SHARD_SCHEMA), folder, number)


def write_shard(table: pa.Table, folder: Path, number: int) -> Path:
    """Writes one file; it has its name as soon as it is complete."""
    path = shard_path(folder, number)
    partial = path.with_name(f".{path.name}")
    # A small file may name one long text a million times: zstd sees that far back.
    pq.write_table(table, partial, row_group_size=max(len(table), 1), compression="zstd")
    return partial.rename(path)


def shard_path(folder: Path, number: int) -> Path:
    """Where a folder's shard of that number lies."""
    return folder / f"{number:06d}"


def read_shard(path: Path) -> Rows:
    """Reads the rows of a shard."""
    table = read_table(path)
    return Rows(problems_of(table), table[REFUSED].to_pylist())


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a whole file, or some of its columns in the order of the file."""
    with pq.ParquetFile(path) as file:
        return file.read(columns, use_threads=False)


def read_usable(paths: Iterable[Path]) -> Iterator[Problem]:
    """The problems of files with a problem's columns, one file after the other."""
    for path in paths:
        yield from problems_of(read_table(path))


def read_rejects(paths: Iterable[Path]) -> Iterator[Reject]:
    """The rejects of files with a reject's columns, one file after the other."""
    for path in paths:
        table = read_table(path)
        told = zip(*(table[name].to_pylist() for name in REJECT_COLUMNS), strict=True)
        for problem, (step, reason, detail) in zip(problems_of(table), told, strict=True):
            yield Reject(problem, step, reason, detail)


def problems_of(table: pa.Table) -> list[Problem]:
    """The problems of a table that has a problem's columns, and perhaps others."""
    return cast(list[Problem], table.select(PROBLEM_COLUMNS).to_pylist())


def _lines(batches: Iterable[Rows]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for problem, refused in zip(batch.problems, batch.refused, strict=True):
            yield {**problem, REFUSED: refused}
