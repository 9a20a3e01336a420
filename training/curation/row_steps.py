"""What is found in one row by itself, whatever the others are: a shard at a time.

The rules of verifiability and of the user's own, the prompt's length and the search for benchmarks'
questions need no other row. For the steps that compare rows there are digests, by which equal
questions, answers, ids and keys of wordings are told once all shards have been looked through.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from training import images
from training.answers import AnswerVerifier
from training.curation import duplicates, own_rules, sources, verifiability
from training.curation.asked import Asked
from training.curation.decontamination import BenchmarkIndex
from training.curation.equal_questions import has_boxed_trace, told_alike
from training.curation.shards import Rows, read_shard, read_table
from training.curation.shingles import NUM_BANDS
from training.recipe import curation as shipped
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
        "step": _NAME,  # the first rule, shipped or of the user's own, that drops it, and why
        "reason": _NAME,
        "is_traced": pa.bool_(),  # of twins the first such row stays
        # Of each step the columns, of rows that neither a rule nor their length has dropped before:
        "question": _DIGEST,  # equal of rows with equal questions and images
        "answer": _DIGEST,
        "id": _DIGEST,
        "is_long": pa.bool_(),
        "key": _DIGEST,  # only rows with equal ones may be near duplicates
        "pictures": _DIGEST,  # equal of rows whose pictures have equal pixels; null without any
        "leak": _NAME,  # the benchmark's question that it asks
        "variant": _NAME,  # the one that it differs from in numbers alone
    }
)
# What near duplicates are told by: columns of a row,
TEXTS = ("id", "question", "answer")
TOLD = ("pictures", "is_traced")  # and what was found of it
COMPARED = pa.schema(
    [*((name, pa.string()) for name in TEXTS), *(FOUND.field(name) for name in TOLD)]
)
BANDS = pa.schema({f"band-{number}": pa.uint64() for number in range(NUM_BANDS)})
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
        order: The recipe's steps, one after the other.
    """

    verifier: AnswerVerifier
    count_tokens: Callable[[Sequence[Prompt]], Sequence[int]]
    benchmarks: BenchmarkIndex
    max_prompt_tokens: int
    containment: float
    similarity: float
    order: tuple[str, ...] = shipped.STEPS

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
        found = _Findings(rows)
        found.tell("is_traced", map(has_boxed_trace, rows.problems))
        found.drop(sources.STEP, rows.refused)
        for step in self.order:
            self._look(step, found)
        return pa.Table.from_pydict(found.columns, FOUND)

    def _look(self, step: str, found: "_Findings") -> None:
        """Tells what a step needs to know of the rows that are left, or drops some."""
        problems = found.problems
        match step:
            case shipped.VERIFIABILITY:
                found.drop(step, verifiability.faults(problems, self.verifier))
            case shipped.DUPLICATES:
                found.tell("question", map(_question_digest, problems))
                found.tell(
                    "answer",
                    (_digest(told_alike(one["answer"], one["question"])) for one in problems),
                )
                found.tell("id", (_digest(one["id"]) for one in problems))
            case shipped.PROMPT_LENGTH:
                prompts = [Prompt(problem["question"], problem["images"]) for problem in problems]
                is_long = [n > self.max_prompt_tokens for n in self.count_tokens(prompts)]
                found.tell("is_long", is_long)
                found.leave_out(is_long)
            case shipped.NEAR_DUPLICATES:
                found.tell("key", map(_key_digest, found.asked))
                found.tell("pictures", map(_pictures_digest, found.asked))
            case shipped.DECONTAMINATION:
                names = self.benchmarks.names
                leaks, variants = self.benchmarks.search(found.asked, self.containment)
                for column, items in (("leak", leaks), ("variant", variants)):
                    asked = {place: names[item] for place, item in items.items()}
                    found.tell(column, map(asked.get, range(len(problems))))
            case _:
                found.drop(step, [own_rules.reason_for(step, problem) for problem in problems])

    def bands(self, shard: Path) -> Iterator[pa.Table]:
        """Which bands each row's question has, by which it may be compared with others.

        Args:
            shard: Rows with the column `question`.

        Yields:
            `BANDS`, a part of the rows at a time.
        """
        questions = read_table(shard, ["question"])["question"]
        for start in range(0, len(questions), PART_ROWS):
            part = questions.slice(start, PART_ROWS).to_pylist()
            columns = duplicates.bands_of(part).T
            yield pa.Table.from_arrays([pa.array(column) for column in columns], schema=BANDS)

    def repeats(self, shard: Path) -> Iterator[pa.Table]:
        """Looks for near duplicates among rows of which all that may be some are there.

        Args:
            shard: Rows with the columns `COMPARED`; no pictures, of which there may be many.

        Yields:
            `REPEATS`, once.
        """
        rows = read_table(shard).to_pydict()
        ids, questions, answers, pictures, traced = (rows[name] for name in COMPARED.names)
        # Equal digests are of equally many pictures: whether there are some is all that counts.
        num_pictures = [int(one is not None) for one in pictures]
        groups = duplicates.near_questions(
            questions, self.similarity, num_pictures, pictures.__getitem__
        )
        found = duplicates.same_answers(groups, questions, answers, traced, self.verifier)
        stays = [ids[first] for first in found.values()]
        yield pa.Table.from_pydict({"place": list(found), "stays": stays}, REPEATS)


class _Findings:
    """What is found in some rows, step by step.

    Args:
        rows: The rows.

    Attributes:
        columns: Those of `FOUND`, with nulls for what is not told.
    """

    def __init__(self, rows: Rows) -> None:
        num_rows = len(rows.problems)
        self.columns: dict[str, list[object]] = {name: [None] * num_rows for name in FOUND.names}
        self._asked = [Asked(problem) for problem in rows.problems]
        self._left = list(range(num_rows))

    @property
    def asked(self) -> list[Asked]:
        """The questions of the rows that are left."""
        return [self._asked[place] for place in self._left]

    @property
    def problems(self) -> list[Problem]:
        """The rows that are left."""
        return [one.problem for one in self.asked]

    def tell(self, column: str, values: Iterable[object]) -> None:
        """Puts down a value for each row that is left."""
        for place, value in zip(self._left, values, strict=True):
            self.columns[column][place] = value

    def drop(self, step: str, reasons: Sequence[str | None]) -> None:
        """Leaves out the rows that a step has a reason against, one or None for each."""
        self.tell("step", (None if reason is None else step for reason in reasons))
        self.tell("reason", reasons)
        self.leave_out([reason is not None for reason in reasons])

    def leave_out(self, is_out: Sequence[bool]) -> None:
        """Leaves out rows that no later step need look at."""
        pairs = zip(self._left, is_out, strict=True)
        self._left = [place for place, out in pairs if not out]


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
