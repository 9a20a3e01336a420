"""Lots: how a job's requests are parted, and the file from which every process takes them.

    lots.parquet     one row group a lot: written by one process, read a lot at a time by all

Which requests share a lot is a function of the job alone, not of the number of processes nor of
what an earlier attempt has answered. On a CPU the last bits of a matrix product depend on how many
rows it has, so a lot that an engine answers as a whole has the same bytes whoever answers it.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.rollout.protocol import Prompt, Request, SamplingSettings

# A lot is large enough to keep a processor busy, and small enough to be lost: of short responses on
# two cores, 128 rows are decoded as quickly as 512, in a second or two.
MAX_LOT_RESPONSES = 128
MAX_LOT_TOKENS = 65_536  # if none of its responses ends

Lot = list[Request]

_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "question": pa.string(),
        "images": pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "reference": pa.string(),
        "judge": pa.string(),
        "settings": pa.string(),  # JSON
        "asked": pa.string(),
        "first_sample": pa.int32(),
    }
)


def plan_lots(requests: Sequence[Request]) -> list[Lot]:
    """Parts requests into lots of one setting and one judge, and of prompts of similar length.

    A benchmark's requests have a judge of their own, so that its lots are the same whichever other
    benchmarks are asked with it.

    The longest come first: what is answered last is then soon done, and no process waits long for
    another one.
    """
    lots: list[Lot] = []
    ordered = sorted(requests, key=_length, reverse=True)
    for (settings, _), group in groupby(ordered, key=lambda one: (one.settings, one.judge)):
        alike, lot_size = list(group), _lot_size(settings)
        lots += [alike[start : start + lot_size] for start in range(0, len(alike), lot_size)]
    return lots


def _lot_size(settings: SamplingSettings) -> int:
    by_responses = MAX_LOT_RESPONSES // settings.samples_per_prompt
    by_tokens = MAX_LOT_TOKENS // (settings.max_response_tokens * settings.samples_per_prompt)
    return max(1, min(by_responses, by_tokens))


def _length(request: Request) -> tuple[int, str, str, int, int]:
    """Settings and judge first, then images before text, then the text's length."""
    num_bytes = sum(len(image["bytes"]) for image in request.prompt.images)
    settings = request.settings
    return (
        settings.max_response_tokens,
        repr(settings),
        request.judge,
        num_bytes,
        len(request.prompt.question),
    )


def write_lots(requests: Sequence[Request], answered: Collection[str], path: Path) -> None:
    """Writes what is still to be answered of every lot; the file appears when it is complete.

    Args:
        requests: All requests of the job.
        answered: Keys of those that are answered.
        path: The file.
    """
    partial = path.with_name(f".{path.name}")
    with pq.ParquetWriter(partial, _SCHEMA) as writer:
        for lot in plan_lots(requests):
            rows = [_row(request) for request in lot if request.key not in answered]
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, _SCHEMA), row_group_size=len(rows))
    partial.rename(path)


class LotFile:
    """The lots of a job, read one at a time.

    Args:
        path: As `write_lots` made it.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)

    def __len__(self) -> int:
        return int(self._file.num_row_groups)

    def __getitem__(self, number: int) -> Lot:
        return [_request(row) for row in self._file.read_row_group(number).to_pylist()]

    def __iter__(self) -> Iterator[Lot]:
        return (self[number] for number in range(len(self)))


def _row(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "question": request.prompt.question,
        "images": list(request.prompt.images),
        "reference": request.reference,
        "judge": request.judge,
        "settings": _settings(request.settings),
        "asked": request.asked,
        "first_sample": request.first_sample,
    }


@cache
def _settings(settings: SamplingSettings) -> str:
    return json.dumps(asdict(settings))


def _request(row: dict[str, Any]) -> Request:
    settings = json.loads(row["settings"])
    return Request(
        id=row["id"],
        prompt=Prompt(row["question"], row["images"]),
        settings=SamplingSettings(**settings | {"stop": tuple(settings["stop"])}),
        reference=row["reference"],
        judge=row["judge"],
        asked=row["asked"],
        first_sample=row["first_sample"],
    )
