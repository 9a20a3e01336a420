"""What is found in one row by itself, whatever the others are: a shard at a time.

The rules of verifiability, the prompt's length and the search for benchmarks' questions need no
other row. For the steps that compare rows there are digests, by which equal questions, answers, ids
and keys of wordings are told once all shards have been looked through.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from training import images
from training.answers import AnswerVerifier
from training.curation import duplicates, own_rules, sources, verifiability
from training.curation.decontamination import Asked, BenchmarkIndex
from training.curation.shards import Rows, read_shard, read_table
from training.curation.verifiability import told_alike
from training.records import Problem, question_key
from training.rollout.protocol import Prompt

# Looked at at once, for some seconds: so many rows, or pictures of so many pixels and one row.
PART_ROWS, PART_PIXELS = 250, 2**24
DIGEST_BYTES = 16
_DIGEST = pa.binary(DIGEST_BYTES)
_NAME = pa.dictionary(pa.int32(), pa.string())
# What is found: one row for each of a shard's, in their order.
FOUND = pa.schema(
    {
        "step": _NAME,  # the step that drops it by itself, and why; null where none does
        "reason": _NAME,
        # Of rows that neither of them drops:
        "question": _DIGEST,  # equal of rows with equal questions and images
        "answer": _DIGEST,
        "id": _DIGEST,
        "is_long": pa.bool_(),
        # Of rows that are not too long, either:
        "key": _DIGEST,  # only rows with equal ones may be near duplicates
        "pictures": _DIGEST,  # equal of rows whose pictures have equal pixels; null without any
        "leak": _NAME,  # the benchmark's question that it asks
        "variant": _NAME,  # the one that it differs from in numbers alone
    }
)
# What near duplicates are told by: columns of a row, and the digest of its pictures.
TEXTS = ("id", "question", "answer")
COMPARED = pa.schema([*((name, pa.string()) for name in TEXTS), ("pictures", _DIGEST)])
REPEATS = pa.schema({"place": pa.int32(), "stays": pa.string()})


@dataclass(frozen=True)
class RowSteps:
    """The steps of curation that need no other shard.

    Attributes:
        verifier: Tells whether an answer can be verified, and whether two are the same.
        count_tokens: Length of each prompt as the policy sees it, tokens.
        benchmarks: The questions that no set may hold.
        max_prompt_tokens: The longest prompt that stays.
        containment: Least share of a benchmark question's 8-grams.
        similarity: Least Jaccard similarity of near duplicates.
        rules: The user's own, `package.module:name`, asked of what can be verified.
    """

    verifier: AnswerVerifier
    count_tokens: Callable[[Sequence[Prompt]], Sequence[int]]
    benchmarks: BenchmarkIndex
    max_prompt_tokens: int
    containment: float
    similarity: float
    rules: tuple[str, ...] = ()

    @property
    def num_undecided(self) -> int:
        """Comparisons of answers that were killed or died so far: they tell nothing of the rows."""
        return self.verifier.num_timeouts + self.verifier.num_crashes

    def examine(self, shard: Path) -> Iterator[pa.Table]:
        """Looks at each row of a shard; `FOUND`, a part of its rows at a time."""
        rows = read_shard(shard)
        for part in parts(rows.problems):
            yield self._examined(Rows(rows.problems[part], rows.refused[part]))

    def _examined(self, rows: Rows) -> pa.Table:
        steps, reasons = self._dropped(rows)
        sound = [place for place, reason in enumerate(reasons) if reason is None]
        problems = [rows.problems[place] for place in sound]
        prompts = [Prompt(problem["question"], problem["images"]) for problem in problems]
        is_long = [length > self.max_prompt_tokens for length in self.count_tokens(prompts)]
        short = [place for place, long in zip(sound, is_long, strict=True) if not long]
        asked = [Asked(rows.problems[place]) for place in short]
        leaks, variants = self.benchmarks.search(asked, self.containment)

        def column(places: Sequence[int], values: Iterable[object]) -> list[object]:
            """A value for each of these rows, and nulls for the others."""
            spread: list[object] = [None] * len(reasons)
            for place, value in zip(places, values, strict=True):
                spread[place] = value
            return spread

        def named(items: Mapping[int, int]) -> list[object]:
            names = [self.benchmarks.names[item] for item in items.values()]
            return column([short[place] for place in items], names)

        return pa.Table.from_pydict(
            {
                "step": steps,
                "reason": reasons,
                "question": column(sound, map(_question_digest, problems)),
                "answer": column(sound, (_digest(told_alike(one["answer"])) for one in problems)),
                "id": column(sound, (_digest(one["id"]) for one in problems)),
                "is_long": column(sound, is_long),
                "key": column(short, map(_key_digest, asked)),
                "pictures": column(short, map(_pictures_digest, asked)),
                "leak": named(leaks),
                "variant": named(variants),
            },
            FOUND,
        )

    def repeats(self, shard: Path) -> Iterator[pa.Table]:
        """Looks for near duplicates among rows of which all that may be some are there.

        Args:
            shard: Rows with the columns `COMPARED`; no pictures, of which there may be many.

        Yields:
            `REPEATS`, once.
        """
        rows = read_table(shard).to_pydict()
        ids, questions, answers, pictures = (rows[name] for name in COMPARED.names)
        # Equal digests are of equally many pictures: whether there are some is all that counts.
        num_pictures = [int(one is not None) for one in pictures]
        groups = duplicates.near_questions(
            questions, self.similarity, num_pictures, pictures.__getitem__
        )
        found = duplicates.same_answers(groups, answers, self.verifier)
        stays = [ids[first] for first in found.values()]
        yield pa.Table.from_pydict({"place": list(found), "stays": stays}, REPEATS)

    def _dropped(self, rows: Rows) -> tuple[list[str | None], list[str | None]]:
        """For each row the step that drops it and why, or None and None."""
        records = [place for place, reason in enumerate(rows.refused) if reason is None]
        faults = verifiability.faults([rows.problems[place] for place in records], self.verifier)
        steps = [None if reason is None else sources.STEP for reason in rows.refused]
        reasons = list(rows.refused)
        for place, fault in zip(records, faults, strict=True):
            if fault is not None:
                steps[place], reasons[place] = verifiability.STEP, fault
            elif own := own_rules.reason_for(self.rules, rows.problems[place]):
                steps[place], reasons[place] = own_rules.STEP, own
        return steps, reasons


def parts(problems: Sequence[Problem]) -> Iterator[slice]:
    """Neighbouring rows that are looked at at once; no row is left out."""
    start, num_pixels = 0, 0
    for place, problem in enumerate(problems):
        if place - start == PART_ROWS or num_pixels >= PART_PIXELS:
            yield slice(start, place)
            start, num_pixels = place, 0
        num_pixels += images.num_pixels(problem["images"])
    if problems:
        yield slice(start, len(problems))


def _question_digest(problem: Problem) -> bytes:
    return bytes.fromhex(question_key(problem["question"], problem["images"]))[:DIGEST_BYTES]


def _key_digest(asked: Asked) -> bytes:
    num_images, key = duplicates.compared_by(asked.wording, len(asked.problem["images"]))
    pictures = _pictures_digest(asked) or b""
    return _digest("\0".join([str(num_images), pictures.hex(), *key]))


def _pictures_digest(asked: Asked) -> bytes | None:
    return asked.pixels[:DIGEST_BYTES] if asked.problem["images"] else None


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
