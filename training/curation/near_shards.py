"""Near duplicates among all rows: those that may be some are brought together in own shards.

Rows with other keys or other pictures are never near duplicates (`training.curation.duplicates`).
So rows that share both go into the same part, and each part is looked through by itself, whichever
process does it. A part has digests in place of pictures: thousands of them may share one key.

Of a key that many rows have (the empty one: of text without numbers) those go into the same part
that hang together by bands of their MinHash: only rows that share one are compared at all.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil, log2
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.curation import duplicates
from training.curation.fates import Fates, Places, compared_rows
from training.curation.row_steps import BANDS, COMPARED, TEXTS, TOLD, RowSteps
from training.curation.shard_work import ShardWork
from training.curation.shards import read_table, shard_path
from training.tables import MAX_GROUP_ROWS

STEP, STEP_OF_BANDS = "near", "bands"
MAX_KEY_ROWS = MAX_GROUP_ROWS  # of a key whose rows stay together
MAX_PARTS = 512  # files that are open at once


def drop_near(
    row_fates: Fates,
    found: pa.Table,
    shards: Sequence[Path],
    steps: RowSteps,
    work: ShardWork,
) -> None:
    """Drops near duplicates; on the first process.

    Args:
        row_fates: What has become of the rows so far.
        found: What was found in them, `training.curation.row_steps.FOUND`.
        shards: The files with the rows.
        steps: With the search among few rows.
        work: Has it done.
    """
    told = found.select(TOLD)
    rows, numbers = compared_rows(row_fates, found)
    _, keys, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    is_many = sizes[keys] > MAX_KEY_ROWS
    many = rows[is_many]
    pieces = np.arange(len(many)) * _num_parts(len(many)) // max(len(many), 1)
    bands = work.run(
        STEP_OF_BANDS,
        lambda folder: _part(shards, told, many, pieces, folder),
        steps.bands,
        None,
        lambda: 0,
    )
    numbers[is_many], is_alone = _linked(bands, len(many))
    is_compared = np.full(len(rows), fill_value=True)
    is_compared[is_many] = ~is_alone
    rows, numbers = rows[is_compared], numbers[is_compared]
    parts = (numbers % np.uint64(_num_parts(len(rows)))).astype(np.intp)
    repeats = work.run(
        STEP,
        lambda folder: _part(shards, told, rows, parts, folder),
        steps.repeats,
        steps.similarity,
        lambda: steps.num_undecided,
    )
    used = np.unique(parts)
    for part, path in zip(used.tolist(), repeats, strict=True):
        table = read_table(path)
        places = rows[parts == part][table["place"].to_numpy()]
        row_fates.drop(places, duplicates.STEP, duplicates.REASON, table["stays"])


def help_with_near(steps: RowSteps, work: ShardWork) -> None:
    """What every other process does meanwhile."""
    work.run(STEP_OF_BANDS, lambda _: [], steps.bands, None, lambda: 0)
    work.run(STEP, lambda _: [], steps.repeats, steps.similarity, lambda: steps.num_undecided)


def _num_parts(num_rows: int) -> int:
    return min(1 << ceil(log2(max(num_rows / MAX_GROUP_ROWS, 1))), MAX_PARTS)


def _linked(
    bands: Sequence[Path], num_rows: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Which rows hang together by bands that they share, one band after the other.

    Args:
        bands: Files with the bands of all rows, `training.curation.row_steps.BANDS`.
        num_rows: In all files.

    Returns:
        [num_rows] of each row a number that the rows with which it hangs together have, too; and
        whether it is alone.
    """
    linked = np.arange(num_rows)
    for band in BANDS.names if num_rows else []:
        values = np.concatenate([read_table(path, [band])[band].to_numpy() for path in bands])
        order = np.argsort(values)
        is_same = values[order[1:]] == values[order[:-1]]
        pairs = linked[order[1:][is_same]], linked[order[:-1][is_same]]
        graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(num_rows, num_rows))
        linked = connected_components(graph, directed=False)[1][linked]
    return linked.astype(np.uint64), np.bincount(linked)[linked] == 1


def _part(
    shards: Sequence[Path],
    told: pa.Table,
    rows: Places,
    parts: Places,
    folder: Path,
) -> Iterator[Path]:
    """Writes the rows of each part into a shard, in their order.

    Args:
        shards: All shards.
        told: What is found of all rows, `TOLD`.
        rows: Places of the rows.
        parts: To which part each belongs; one that has no rows gets no shard.
        folder: Where to.
    """
    used = np.unique(parts).tolist()
    partial = {part: folder / f".part-{part}" for part in used}
    with ExitStack() as stack:
        writers = {
            part: stack.enter_context(pq.ParquetWriter(path, COMPARED, compression="zstd"))
            for part, path in partial.items()
        }
        start = 0
        for shard in shards:
            table = read_table(shard, TEXTS).select(TEXTS)
            for name in TOLD:
                table = table.append_column(name, told[name].slice(start, len(table)))
            table = table.cast(COMPARED)
            inside = slice(*np.searchsorted(rows, [start, start + len(table)]))
            own, owners = rows[inside] - start, parts[inside]
            for part in np.unique(owners).tolist():
                writers[part].write_table(table.take(pa.array(own[owners == part])))
            start += len(table)
    for number, part in enumerate(used):
        yield partial[part].rename(shard_path(folder, number))
