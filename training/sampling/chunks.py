"""Chunks: files of responses, complete as soon as they have their name.

A stage that is told to stop leaves responses that nobody has verified yet, too.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.failures import is_final
from training.answers import Outcome
from training.sampling.schema import CHUNK, SCHEMA, UNVERIFIED


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
        draw: Of the request: equal ones are asked the same, whatever their ids and references.
        sample: Which of the responses to the prompt it is, from 0.
        text: The response without special tokens.
        num_tokens: Its length, the end token included.
        truncated: True if it ran out of tokens.
        failure: Why there is no response, in few words; else empty.
        num_prompt_tokens: Length of the prompt, images included; None if nobody said so.
    """

    request: str
    draw: str
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


def write_chunk(answers: Sequence[Drawn], folder: Path, name: str) -> Path:
    """Writes one file.

    Args:
        answers: Its rows, verified or not; of a request all samples or none.
        folder: Where to.
        name: What tells it from the other files of the folder.
    """
    path = folder / f"{CHUNK}{name}.parquet"
    partial = path.with_name(f".{path.name}")
    pq.write_table(pa.Table.from_pylist([dict(row) for row in answers], SCHEMA), partial)
    return partial.rename(path)


def read_chunks(folders: Iterable[Path], columns: Sequence[str] | None = None) -> list[list[Any]]:
    """Reads every chunk below some folders.

    Where two attempts have answered the same request, the first of their files counts in which
    nothing failed, and rather one that is verified. No verdict counts of a folder `UNVERIFIED`.

    Args:
        folders: Where they lie.
        columns: Those that are needed beside `request`, `sample`, `failure` and `outcome`; all by
            default.

    Returns:
        For each request, in no particular order, its answers by sample.
    """
    wanted = None if columns is None else ["request", "sample", "failure", "outcome", *columns]
    found: dict[str, list[Any]] = {}
    for path in _paths(folders):
        is_verified = UNVERIFIED not in path.parts
        for request, own in _by_request(pq.read_table(path, columns=wanted)).items():
            rows = own if is_verified else [{**row, "outcome": None} for row in own]
            before = found.get(request)
            if before is None or has_failed(before) or _is_better(rows, before):
                found[request] = rows
    return list(found.values())


def _is_better(rows: Sequence[Any], before: Sequence[Any]) -> bool:
    """Whether a later file counts rather than one in which nothing failed: it is verified."""
    return is_judged(rows) and not is_judged(before) and not has_failed(rows)


def stream_chunks(folders: Iterable[Path], requests: Collection[str]) -> Iterator[list[Any]]:
    """Reads the responses to some requests, a file at a time, and no text of the others.

    Args:
        folders: Where the chunks lie.
        requests: Keys of those that are wanted.

    Returns:
        For each that has been answered its rows by sample, of the first file in which nothing
        failed.
    """
    left = set(requests)
    for path in _paths(folders):
        wanted = pa.array(sorted(left), pa.string())
        table = pq.read_table(path, filters=pc.is_in(pc.field("request"), wanted))
        for request, rows in _by_request(table).items():
            if not has_failed(rows):
                left.remove(request)
                yield rows


def _paths(folders: Iterable[Path]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob(f"{CHUNK}*.parquet"))


def _by_request(table: pa.Table) -> dict[str, list[Any]]:
    """A file's rows by request, and of a request by sample."""
    found: dict[str, list[Any]] = {}
    for row in table.to_pylist():
        found.setdefault(row["request"], []).append(row)
    return {
        request: sorted(rows, key=lambda row: int(row["sample"])) for request, rows in found.items()
    }


def has_failed(rows: Iterable[Any]) -> bool:
    """Whether a part of what a request asked for has no response, and could have one."""
    return any(row["failure"] and not is_final(row["failure"]) for row in rows)


def is_judged(rows: Iterable[Any]) -> bool:
    """Whether all responses to a request are verified."""
    return all(row["outcome"] is not None for row in rows)
