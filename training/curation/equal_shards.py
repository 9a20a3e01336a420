"""Equal questions and ids among all rows: told by digests, and by the verifier where these differ.

An answer's digest tells numbers, choices and words written in two ways. Few groups of equal
questions have others, such as `x+1` and `x + 1`: of these the answers are read, each once, and
compared. Texts of other rows stay in the shards.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.answers import AnswerVerifier
from training.curation import equal_questions
from training.curation.agreement import conflict, meant
from training.curation.fates import Fates, Places, numbered_rows, traced_rows
from training.curation.shards import read_table


def drop_equal(
    row_fates: Fates, found: pa.Table, shards: Sequence[Path], verifier: AnswerVerifier
) -> None:
    """Drops questions and ids that others have; see `training.curation.equal_questions.repeats`.

    Args:
        row_fates: What has become of the rows so far.
        found: What was found in them, `training.curation.row_steps.FOUND`.
        shards: The files with the rows.
        verifier: Tells whether two answers are the same.
    """
    rows, questions, answers, ids = numbered_rows(row_fates, found)
    groups = equal_questions.told_otherwise(questions, answers)
    places = list(chain.from_iterable(groups))
    asked = (values_at(shards, name, rows[places]).to_pylist() for name in ("answer", "question"))
    told = dict(zip(places, map(meant, *asked), strict=True))
    pairs = filter(None, (conflict(group, told, verifier) for group in groups))
    traced = traced_rows(found, rows)
    repeated = equal_questions.repeats(questions, answers, ids, traced, pairs)
    by_reason = defaultdict[str, list[int]](list)
    for place, (reason, _) in repeated.items():
        by_reason[reason].append(place)
    for reason, own in by_reason.items():
        others = rows[[repeated[place][1] for place in own]]
        details = values_at(shards, "id", others)
        row_fates.drop(rows[own], equal_questions.STEP, reason, details)


def values_at(shards: Sequence[Path], column: str, rows: Places) -> pa.ChunkedArray:
    """A text of some rows, which may come more than once, in their order."""
    wanted, order = np.unique(rows, return_inverse=True)
    parts, start = [pa.chunked_array([pa.array([], pa.string())])], 0
    for shard in shards:
        num_rows = pq.read_metadata(shard).num_rows
        inside = wanted[slice(*np.searchsorted(wanted, [start, start + num_rows]))] - start
        if len(inside):
            parts.append(read_table(shard, [column])[column].take(pa.array(inside)))
        start += num_rows
    chunks = [chunk for part in parts for chunk in part.chunks]
    return pa.chunked_array(chunks, pa.string()).take(pa.array(order))
