"""Near duplicates among all rows: those that may be some are brought together in own shards.

Rows with other keys or other pictures are never near duplicates (`training.curation.duplicates`).
So rows that share both go into the same part, and each part is looked through by itself, whichever
process does it. A part has digests in place of pictures: thousands of them may share one key.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil, log2
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.curation import duplicates
from training.curation.fates import Fates, Places, compared_rows
from training.curation.row_steps import COMPARED, TEXTS, RowSteps
from training.curation.shard_work import ShardWork
from training.curation.shards import read_table, shard_path
from training.tables import MAX_GROUP_ROWS

STEP = "near"
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
    rows, numbers = compared_rows(row_fates, found)
    wanted = max(len(rows) / MAX_GROUP_ROWS, 1)
    num_parts = min(1 << ceil(log2(wanted)), MAX_PARTS)
    parts = (numbers % np.uint64(num_parts)).astype(np.intp)
    repeats = work.run(
        STEP,
        lambda folder: _part(shards, found["pictures"], rows, parts, folder),
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
    work.run(STEP, lambda _: [], steps.repeats, steps.similarity, lambda: steps.num_undecided)


def _part(
    shards: Sequence[Path],
    pictures: pa.ChunkedArray,
    rows: Places,
    parts: Places,
    folder: Path,
) -> Iterator[Path]:
    """Writes the rows of each part into a shard, in their order.

    Args:
        shards: All shards.
        pictures: What is found of the pictures of all rows.
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
            shown = pictures.slice(start, len(table))
            table = table.append_column("pictures", shown).cast(COMPARED)
            inside = slice(*np.searchsorted(rows, [start, start + len(table)]))
            own, owners = rows[inside] - start, parts[inside]
            for part in np.unique(owners).tolist():
                writers[part].write_table(table.take(pa.array(own[owners == part])))
            start += len(table)
    for number, part in enumerate(used):
        yield partial[part].rename(shard_path(folder, number))
