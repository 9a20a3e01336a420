"""What models have answered, as it came: kept for other evaluations, which find it by the question.

    answers.parquet    one policy's answers to one benchmark
    replies.parquet    what a judge replied to these

A row has the prompt's digest and the answer. Nothing in it says by which name the policy was known,
what would be right, or how it was scored: verdicts are made anew wherever a table is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.failures import is_final
from training.rollout.protocol import Finished, Request, Sample
from training.sampling.chunks import Drawn
from training.sampling.schema import PART_SCHEMA
from training.sampling.verdicts import finished_again

ANSWERS, REPLIES = "answers.parquet", "replies.parquet"
# The prompt's digest, which of the questions with this prompt it is, and the number of the answer.
Place = tuple[str, int, int]
Kept = Mapping[Place, Sample]

_PLACE = ("prompt", "repeat", "sample")


class Questions:
    """What one model is asked, of which earlier evaluations may have had a part answered.

    Args:
        requests: All of it.
        kept: What was answered.
        singly: Whether a request's samples are asked for one by one, as of an endpoint: as many as
            it takes are under way at once, and each is kept as soon as it is there. An engine of
            ours computes them together.
    """

    def __init__(self, requests: Sequence[Request], kept: Kept, *, singly: bool) -> None:
        self.kept = kept
        self._asked = [
            (request, [(one, _places(one, repeat)) for one in _pieces(request, singly=singly)])
            for request, repeat in zip(requests, _repeats(requests), strict=True)
        ]

    @property
    def left(self) -> list[Request]:
        """What has to be asked."""
        return [
            piece for _, pieces in self._asked for piece, places in pieces if not self._has(places)
        ]

    def finished(self, drawn: Mapping[str, Sequence[Drawn]]) -> list[Finished]:
        """All requests with their answers.

        Args:
            drawn: The answers to what was left, by the requests' keys.
        """
        return [
            (request, [one for piece in pieces for one in self._samples(*piece, drawn)])
            for request, pieces in self._asked
        ]

    def _samples(
        self, piece: Request, places: Sequence[Place], drawn: Mapping[str, Sequence[Drawn]]
    ) -> list[Sample]:
        if self._has(places):
            return [self.kept[place] for place in places]
        return finished_again(piece, drawn[piece.key])[1]

    def _has(self, places: Sequence[Place]) -> bool:
        return all(place in self.kept for place in places)


def write_part(finished: Sequence[Finished], kept: Kept, path: Path) -> None:
    """Writes a file of answers; parent folders are created.

    Args:
        finished: What is asked now, with its answers.
        kept: What was answered before; of it stays what is not asked now, and may be again.
        path: The file.
    """
    repeats = _repeats(request for request, _ in finished)
    answers = {
        place: sample
        for (request, samples), repeat in zip(finished, repeats, strict=True)
        for place, sample in zip(_places(request, repeat), samples, strict=True)
    }
    answers |= {place: sample for place, sample in kept.items() if place not in answers}
    rows = [
        dict(zip(_PLACE, place, strict=True)) | asdict(sample) for place, sample in answers.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, PART_SCHEMA), path)


def read_part(path: Path) -> dict[Place, Sample]:
    """What `write_part` wrote, without the answers that may come if they are asked for again."""
    rows = pq.read_table(path, schema=PART_SCHEMA).to_pylist()
    kept = [row for row in rows if not row["failure"] or is_final(row["failure"])]
    return {
        (row.pop("prompt"), row.pop("repeat"), row.pop("sample")): Sample(**row) for row in kept
    }


def _pieces(request: Request, *, singly: bool) -> list[Request]:
    if not singly:
        return [request]
    one = replace(request.settings, samples_per_prompt=1)
    return [replace(request, settings=one, first_sample=number) for number in request.numbers]


def _repeats(requests: Iterable[Request]) -> list[int]:
    """How many requests before each have its prompt."""
    seen = Counter[str]()
    repeats: list[int] = []
    for request in requests:
        repeats.append(seen[request.prompt.digest])
        seen[request.prompt.digest] += 1
    return repeats


def _places(request: Request, repeat: int) -> list[Place]:
    return [(request.prompt.digest, repeat, number) for number in request.numbers]
