"""Chunks: files of responses, complete as soon as they have their name.

A stage that is told to stop leaves responses that nobody has verified yet, too.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.failures import is_final
from training.answers import Outcome

CHUNK = "chunk-"  # how their names begin


class Measure(TypedDict):
    """What is counted of a verified response.

    Fields:
        num_tokens: Its length, the end token included.
        outcome: The verdict.
        failure: Why there is no response, in few words; else empty.
    """

    num_tokens: int
    outcome: Outcome
    failure: str


class Drawn(TypedDict):
    """One response, as it was drawn.

    Fields:
        request: Key of the request.
        sample: Which of the request's responses it is, from 0.
        text: The response without special tokens.
        num_tokens: Its length, the end token included.
        truncated: True if it ran out of tokens.
        failure: Why there is no response, in few words; else empty.
        num_prompt_tokens: Length of the prompt, images included; None if nobody said so.
    """

    request: str
    sample: int
    text: str
    num_tokens: int
    truncated: bool
    failure: str
    num_prompt_tokens: int | None


class Answer(Drawn):
    """One response, verified.

    Fields:
        outcome: The verdict.
    """

    outcome: Outcome


_SCHEMA = pa.schema(
    {
        "request": pa.string(),
        "sample": pa.int32(),
        "text": pa.string(),
        "num_tokens": pa.int32(),
        "truncated": pa.bool_(),
        "outcome": pa.string(),  # null: not verified yet
        "failure": pa.string(),
        "num_prompt_tokens": pa.int32(),
    }
)


def write_chunk(answers: Sequence[Drawn], folder: Path, name: str) -> Path:
    """Writes one file.

    Args:
        answers: Its rows, verified or not; of a request all samples or none.
        folder: Where to.
        name: What tells it from the other files of the folder.
    """
    path = folder / f"{CHUNK}{name}.parquet"
    partial = path.with_name(f".{path.name}")
    pq.write_table(pa.Table.from_pylist([dict(row) for row in answers], _SCHEMA), partial)
    return partial.rename(path)


def read_chunks(
    folders: Iterable[Path],
    columns: Sequence[str] | None = None,
    requests: Sequence[str] | None = None,
) -> list[list[Any]]:
    """Reads every chunk below some folders.

    Where two attempts have answered the same request, the first of their files counts in which
    nothing failed, and rather one that is verified.

    Args:
        folders: Where they lie.
        columns: Those that are needed beside `request`, `sample`, `failure` and `outcome`; all by
            default.
        requests: Keys of those that are wanted, of the others no row is kept; all by default.

    Returns:
        For each request, in no particular order, its answers by sample.
    """
    wanted = None if columns is None else ["request", "sample", "failure", "outcome", *columns]
    keys = None if requests is None else pa.array(requests, pa.string())
    found: dict[str, list[Any]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob(f"{CHUNK}*.parquet")):
        own: dict[str, list[Any]] = {}
        table = pq.read_table(path, columns=wanted)
        if keys is not None:
            table = table.filter(pc.is_in(table["request"], keys))
        for row in table.to_pylist():
            own.setdefault(row["request"], []).append(row)
        for request, rows in own.items():
            before = found.get(request)
            if before is None or has_failed(before) or not (is_judged(before) or has_failed(rows)):
                found[request] = rows
    return [sorted(rows, key=lambda row: int(row["sample"])) for rows in found.values()]


def has_failed(rows: Iterable[Any]) -> bool:
    """Whether a part of what a request asked for has no response, and could have one."""
    return any(row["failure"] and not is_final(row["failure"]) for row in rows)


def is_judged(rows: Iterable[Any]) -> bool:
    """Whether all responses to a request are verified."""
    return all(row["outcome"] is not None for row in rows)
