"""What becomes of each row, once something was found in every shard.

Rows are places in the shards, one shard after the other: these functions see digests and names, and
no texts, so that a million rows take some hundred megabytes.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.curation import decontamination, verifiability

Places: TypeAlias = npt.NDArray[np.intp]
_USABLE = -1
_NAME = pa.dictionary(pa.int32(), pa.string())
# A row's step and reason are null where nothing drops it.
FATES = pa.schema({"step": _NAME, "reason": _NAME, "detail": pa.string()})


class Fates:
    """Which step drops each row, and why; at first none is dropped.

    Args:
        num_rows: In all shards.
    """

    def __init__(self, num_rows: int) -> None:
        self._codes = np.full(num_rows, _USABLE, dtype=np.int32)
        self._kinds: dict[tuple[str, str], int] = {}  # -> its code
        self._details: list[tuple[Places, pa.Array]] = []

    @property
    def left(self) -> Places:
        """The rows that no step has dropped, in order."""
        return np.flatnonzero(self._codes == _USABLE)

    def drop(
        self, rows: Places, step: str, reason: str, details: pa.ChunkedArray | None = None
    ) -> None:
        """Drops rows that are left.

        Args:
            rows: Their places.
            step: Which step does.
            reason: Why, the same for all.
            details: What each was found by.
        """
        if len(rows) == 0:
            return
        self._codes[rows] = self._kinds.setdefault((step, reason), len(self._kinds))
        if details is not None:
            self._details.append((rows, details.cast(pa.string()).combine_chunks()))

    def counts(self, *steps: str) -> Counter[str]:
        """How many rows these steps have dropped, by reason."""
        dropped = np.bincount(self._codes[self._codes != _USABLE], minlength=len(self._kinds))
        found = Counter[str]()
        for (step, reason), count in zip(self._kinds, dropped.tolist(), strict=True):
            if step in steps:
                found[reason] += count
        return found

    def table(self) -> pa.Table:
        """Of each row its fate, `FATES`."""
        codes = pa.array(self._codes, mask=self._codes == _USABLE)
        steps, reasons = ([kind[i] for kind in self._kinds] for i in (0, 1))
        return pa.table(
            {
                "step": _named(codes, steps),
                "reason": _named(codes, reasons),
                "detail": self._detail_column(),
            },
            FATES,
        )

    def _detail_column(self) -> pa.Array:
        texts = pa.concat_arrays([pa.array([""]), *(found for _, found in self._details)])
        number = np.zeros(len(self._codes), dtype=np.int64)
        start = 1
        for rows, found in self._details:
            number[rows] = np.arange(start, start + len(found))
            start += len(found)
        return texts.take(pa.array(number))


def drop_by_themselves(fates: Fates, found: pa.Table) -> None:
    """Drops what could not be read or verified.

    Args:
        fates: Of which nothing is dropped yet.
        found: Of all rows, `training.curation.row_steps.FOUND`.
    """
    (steps, step_names), (reasons, names) = _codes(found["step"]), _codes(found["reason"])
    pairs = np.where(steps < 0, -1, steps * max(len(names), 1) + reasons)
    # One pass for all of them: a rule of somebody's own may give each row another reason.
    by_pair = defaultdict[int, list[int]](list)
    for place in np.flatnonzero(pairs >= 0).tolist():
        by_pair[int(pairs[place])].append(place)
    for pair, places in sorted(by_pair.items()):
        step, reason = divmod(pair, len(names))
        fates.drop(np.array(places), step_names[step], names[reason])


def numbered_rows(fates: Fates, found: pa.Table) -> tuple[Places, list[int], list[int], list[int]]:
    """The rows that are left, and of each what tells equal ones.

    Returns:
        Their places, in order, and numbers from 0 on, the same for equal questions, for answers
        that are told alike, and for equal ids [N].
    """
    left = fates.left
    digests = (_digests(found[name], left) for name in ("question", "answer", "id"))
    questions, answers, ids = (_numbered(each).tolist() for each in digests)
    return left, questions, answers, ids


def traced_rows(found: pa.Table, rows: Places) -> list[bool]:
    """Which of some rows have a boxed trace."""
    is_traced: list[bool] = found["is_traced"].take(pa.array(rows)).to_pylist()
    return is_traced


def drop_long(fates: Fates, found: pa.Table, max_prompt_tokens: int) -> None:
    """Drops rows whose prompt has too many tokens."""
    is_long = found["is_long"].fill_null(False).to_numpy()
    left = fates.left
    dropped = left[is_long[left]]
    limits = [verifiability.longer_than(max_prompt_tokens)] * len(dropped)
    step, reason = verifiability.PROMPT_LENGTH, verifiability.TOO_LONG
    fates.drop(dropped, step, reason, pa.chunked_array([limits], pa.string()))


def compared_rows(fates: Fates, found: pa.Table) -> tuple[Places, npt.NDArray[np.uint64]]:
    """The rows that may be near duplicates of others.

    Returns:
        Their places, in order, and for each a number that is the same for all it may be near to.
    """
    left = fates.left
    keys = _digests(found["key"], left)
    numbers = _numbered(keys)
    is_shared = np.bincount(numbers)[numbers] > 1 if len(left) else np.zeros(0, dtype=bool)
    halves = np.frombuffer(keys.buffers()[1], dtype="<u8", count=2 * len(keys))
    return left[is_shared], halves[::2][is_shared]


def drop_leaks(fates: Fates, found: pa.Table, *, reject_variants: bool) -> dict[str, int]:
    """Drops questions of benchmarks, and counts or drops their number variants.

    Returns:
        Number variants of each benchmark's questions, whether they stay or not.
    """
    (leaks, _), (variants, names) = _codes(found["leak"]), _codes(found["variant"])
    left = fates.left
    leaked, varied = left[leaks[left] >= 0], left[(leaks[left] < 0) & (variants[left] >= 0)]
    step = decontamination.STEP
    fates.drop(leaked, step, decontamination.LEAK, found["leak"].take(pa.array(leaked)))
    if reject_variants:
        details = found["variant"].take(pa.array(varied))
        fates.drop(varied, step, decontamination.NUMBER_VARIANT, details)
    return decontamination.count_by_benchmark(names[code] for code in variants[varied].tolist())


def _codes(column: pa.ChunkedArray) -> tuple[Places, list[str]]:
    """Each row's number in a list of names, -1 where it has none; and the names."""
    named = column.cast(pa.string()).combine_chunks().dictionary_encode()
    codes = named.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.intp), named.dictionary.to_pylist()


def _digests(column: pa.ChunkedArray, rows: Places) -> pa.Array:
    return column.combine_chunks().take(pa.array(rows))


def _numbered(digests: pa.Array) -> Places:
    """Numbers from 0 on, the same for equal digests [N]."""
    numbers: Places = digests.dictionary_encode().indices.to_numpy().astype(np.intp)
    return numbers


def _named(codes: pa.Array, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()))
