"""What curation tells of itself: counts that account for every row, and rows for the datasheet."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features, Value

from training.curation.decontamination import STEP as DECONTAMINATION
from training.curation.outlines import OUTLINE, Outlines, Questions
from training.curation.selection import Selection
from training.curation.step import Reject
from training.curation.topics import OTHER, Topics
from training.records import Problem, question_key
from training.tables import MAX_GROUP_ROWS, write_rows

NUM_EXAMPLES = 4  # of each set
NUM_QUESTIONS, MAX_QUESTION_CHARACTERS = 5, 300  # of each topic, and of each question shown
GRADED_FEATURES = Features(
    {
        "id": Value("string"),
        "source": Value("string"),
        "modality": Value("string"),
        "family": Value("string"),
        "topic": Value("string"),
        "level": Value("int32"),
        "pass_rate": Value("float32"),
        "question_characters": Value("int64"),
        "solution_characters": Value("int64"),  # None where there is none
        "x": Value("float32"),  # its place on the map of topics
        "y": Value("float32"),
        "set": Value("string"),  # None where no set took it
    }
)
# Columns that the outlines have as well.
_OF_OUTLINES = [name for name in GRADED_FEATURES if name in OUTLINE.names]


class RejectCounts:
    """Counts rejects while they pass.

    Attributes:
        by_source: Rows by source, step and reason.
        by_question: Of decontamination, rows by reason and `benchmark: id` of the question.
    """

    def __init__(self) -> None:
        self.by_source: dict[str, dict[str, Counter[str]]] = {}
        self.by_question: dict[str, Counter[str]] = {}

    def passing(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """The same rejects."""
        for reject in rejects:
            steps = self.by_source.setdefault(reject.problem["source"], {})
            steps.setdefault(reject.step, Counter())[reject.reason] += 1
            if reject.step == DECONTAMINATION:
                self.by_question.setdefault(reject.reason, Counter())[reject.detail] += 1
            yield reject

    @property
    def total(self) -> int:
        """How many have passed."""
        return sum(
            reasons.total() for steps in self.by_source.values() for reasons in steps.values()
        )


def require_account(num_in: int, chosen: Selection, num_rejects: int) -> None:
    """Checks that every row that came in is in one set or among the rejects.

    Raises:
        RuntimeError: Some are not, or some are twice: a fault of ours.
    """
    num_out = sum(map(len, chosen.sets.values())) + num_rejects
    if num_in != num_out:
        raise RuntimeError(f"curation read {num_in} rows and accounts for {num_out}")


def summarise(
    sources: Mapping[str, int],
    problems: Outlines,
    topic_of: Sequence[str],
    chosen: Selection,
    rejects: RejectCounts,
) -> dict[str, Any]:
    """Counts that account for every row.

    Args:
        sources: How many rows came in, by source.
        problems: Those that have a level.
        topic_of: The topic of each of them.
        chosen: The sets.
        rejects: Counts of all others.

    Returns:
        `rows_in`, `rows_in_sets`, `rows_rejected`; `sources`, rows by source;
        `rejected`, rows by source, step and reason; `benchmark_questions`, those that
        decontamination left out, by reason and question; `sets`, for each set its rows,
        its shortfall and its rows by source, family, topic and level.
    """
    num_in_sets = sum(map(len, chosen.sets.values()))
    return {
        "rows_in": sum(sources.values()),
        "rows_in_sets": num_in_sets,
        "rows_rejected": rejects.total,
        "sources": dict(sources),
        "rejected": rejects.by_source,
        "benchmark_questions": rejects.by_question,
        "sets": {
            name: {
                "num_problems": len(places),
                "shortfall": chosen.shortfall[name],
                "by_source": _counted(own["source"].to_pylist()),
                "by_family": _counted(own["family"].to_pylist()),
                "by_topic": _counted(topic_of[place] for place in places),
                "by_level": _counted(own["level"].to_pylist()),
            }
            for name, places in chosen.sets.items()
            for own in [problems.take(pa.array(places))]
        },
    }


def summarise_topics(found: Topics) -> dict[str, Any]:
    """How many rows are of which topic, and how they came to it."""
    return {
        "num_topics": len({*found.names} - {OTHER}),
        "clustered": found.num_clustered,
        "clustered_noise": found.num_noise,
        "assigned": found.num_assigned,
        "share_without": round(found.share_without, 6),
        "by_topic": _counted(found.names),
    }


def topic_questions(questions: Questions, found: Topics, seed: int) -> dict[str, list[str]]:
    """A few questions of each topic, cut, drawn by the seed; none of `OTHER`."""
    drawn: dict[str, list[int]] = {name: [] for name in sorted({*found.names} - {OTHER})}
    for place in np.random.default_rng(seed).permutation(len(questions)):
        own = drawn.get(found.names[place])
        if own is not None and len(own) < NUM_QUESTIONS:
            own.append(int(place))
    places = np.array(sorted(place for own in drawn.values() for place in own), dtype=np.int64)
    text_at = dict(zip(places.tolist(), questions.at(places), strict=True))
    return {
        name: [text_at[place][:MAX_QUESTION_CHARACTERS] for place in own]
        for name, own in drawn.items()
    }


def graded_rows(problems: Outlines, found: Topics, chosen: Selection) -> Iterator[dict[str, Any]]:
    """One row of `GRADED_FEATURES` for each problem that has a level."""
    set_of: list[str | None] = [None] * len(problems)
    for curated, places in chosen.sets.items():
        for place in places:
            set_of[place] = curated
    batches = problems.select(_OF_OUTLINES).to_batches(MAX_GROUP_ROWS)
    rows = chain.from_iterable(batch.to_pylist() for batch in batches)
    for row, topic, (x, y), name in zip(rows, found.names, found.places, set_of, strict=True):
        yield row | {"topic": topic, "x": x, "y": y, "set": name}


def examples(chosen: Selection, topic_of: Sequence[str], seed: int) -> list[int]:
    """Places of a few problems of each set, of different topics as far as there are any."""
    picked: list[int] = []
    for index, places in enumerate(chosen.sets.values()):
        seen, turns = Counter[str](), list[tuple[int, int]]()
        order = np.random.default_rng([seed, index]).permutation(len(places))
        for place in places[order].tolist():
            topic = topic_of[place]
            turns.append((seen[topic], place))  # each topic's first problem before any second
            seen[topic] += 1
        turns.sort(key=itemgetter(0))
        picked += [place for _, place in turns[:NUM_EXAMPLES]]
    return picked


def write_questions(benchmarks: Mapping[str, Sequence[Problem]], path: Path) -> None:
    """The benchmarks' questions by key, for the gate that looks for them in the curated sets."""
    rows = (
        {
            "benchmark": name,
            "problem_id": problem["id"],
            "question": problem["question"],
            "question_key": question_key(problem["question"], problem["images"]),
        }
        for name, problems in benchmarks.items()
        for problem in problems
    )
    columns = ("benchmark", "problem_id", "question", "question_key")
    write_rows(rows, Features({name: Value("string") for name in columns}), path)


def _counted(values: Iterable[Any]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}
