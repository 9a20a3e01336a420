"""Near duplicates that are left in curated sets, found as curation itself finds them.

What a person wants to know is whether the step did its work on the rows that came out, so its own
reading of questions is asked again, over all sets at once. Pictures are decoded only where
questions are near, and none is kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from training.answers.quick import judge
from training.curation.duplicates import near_questions, pixels_digest

_BATCH_ROWS = 1024


def near_duplicates(
    folder: Path, sets: Sequence[str], frame: pd.DataFrame, similarity: float
) -> pd.Series:
    """The row that each row repeats in other words.

    Args:
        folder: The artifact of curation.
        sets: Names of its sets.
        frame: All rows of these sets in their order, see `data_checks.frames.curated_frame`.
        similarity: Least Jaccard similarity of two questions' keyed shingles.

    Returns:
        Id of the first row with a near question, the same pictures and the same answer, null where
        there is none. Answers are the same where curation's rules say so without algebra.

    Raises:
        DataError: A picture that had to be compared cannot be decoded.
    """
    questions, answers = (frame[name].fillna("").tolist() for name in ("question", "answer"))
    num_pictures = frame["num_images"].tolist()
    loose = near_questions(questions, similarity, num_pictures, lambda _: b"")
    rows = sorted(row for group in loose for row in group)
    seen = _pixels(folder, sets, [row for row in rows if num_pictures[row]])
    found = near_questions(
        [questions[row] for row in rows],
        similarity,
        [num_pictures[row] for row in rows],
        lambda place: seen.get(rows[place], b""),
    )
    groups = [[rows[place] for place in group] for group in found]
    repeated = {row: first for group in groups for row, first in _repeats(group, answers).items()}
    ids = frame["id"].tolist()
    return pd.Series(
        [ids[repeated[row]] if row in repeated else None for row in range(len(frame))],
        index=frame.index,
        dtype=object,
    )


def _repeats(group: Sequence[int], answers: Sequence[str]) -> dict[int, int]:
    """Row -> the first row of its group that has its answer."""
    firsts, found = list[int](), dict[int, int]()
    for row in group:
        same = next((one for one in firsts if _is_same(answers[row], answers[one])), None)
        if same is None:
            firsts.append(row)
        else:
            found[row] = same
    return found


def _is_same(answer: str, other: str) -> bool:
    verdict = judge(answer, other)
    return verdict is not None and verdict.outcome == "right"


def _pixels(folder: Path, sets: Sequence[str], rows: Sequence[int]) -> Mapping[int, bytes]:
    """A digest of the pictures of some rows, which are numbered through all sets and rise."""
    wanted, found, start = set(rows), dict[int, bytes](), 0
    for path in (folder / f"{name}.parquet" for name in sets):
        for batch in pq.ParquetFile(path).iter_batches(_BATCH_ROWS, columns=["images"]):
            inside = wanted.intersection(range(start, start + len(batch)))
            for row in sorted(inside):
                shown = [image for image in batch["images"][row - start].as_py() if image["bytes"]]
                found[row] = pixels_digest(shown)
            start += len(batch)
    return found
