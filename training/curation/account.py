"""What curation tells of itself: counts that account for every row, and rows for the datasheet."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from datasets import Features, Value

from training.curation.decontamination import STEP as DECONTAMINATION
from training.curation.outlines import Outline
from training.curation.selection import Selection
from training.curation.step import Reject
from training.curation.topics import OTHER, Topics

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
    chosen: Selection,
    rejects: RejectCounts,
    topic_of: Mapping[str, str],
) -> dict[str, Any]:
    """Counts that account for every row.

    Args:
        sources: How many rows came in, by source.
        chosen: The sets.
        rejects: Counts of all others.
        topic_of: Id of a problem -> its topic.

    Returns:
        `rows_in`, `rows_in_sets`, `rows_rejected`; `sources`, rows by source;
        `rejected`, rows by source, step and reason; `benchmark_questions`, those that
        decontamination left out, by reason and question; `sets`, for each set its rows,
        its shortfall and its rows by source, family, topic and level.
    """
    num_in_sets = sum(len(problems) for problems in chosen.sets.values())
    return {
        "rows_in": sum(sources.values()),
        "rows_in_sets": num_in_sets,
        "rows_rejected": rejects.total,
        "sources": dict(sources),
        "rejected": rejects.by_source,
        "benchmark_questions": rejects.by_question,
        "sets": {
            name: {
                "num_problems": len(problems),
                "shortfall": chosen.shortfall[name],
                "by_source": _counts(problems, "source"),
                "by_family": _counts(problems, "family"),
                "by_topic": _counted(topic_of[problem["id"]] for problem in problems),
                "by_level": _counts(problems, "level"),
            }
            for name, problems in chosen.sets.items()
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


def topic_questions(problems: Sequence[Outline], found: Topics, seed: int) -> dict[str, list[str]]:
    """A few questions of each topic, cut, drawn by the seed; none of `OTHER`."""
    questions: dict[str, list[str]] = {name: [] for name in sorted({*found.names} - {OTHER})}
    for place in np.random.default_rng(seed).permutation(len(problems)).tolist():
        own = questions.get(found.names[place])
        if own is not None and len(own) < NUM_QUESTIONS:
            own.append(problems[place]["question"][:MAX_QUESTION_CHARACTERS])
    return questions


def graded_rows(
    problems: Sequence[Outline], found: Topics, chosen: Selection
) -> Iterator[dict[str, Any]]:
    """One row of `GRADED_FEATURES` for each problem that has a level."""
    set_of = {row["id"]: name for name, rows in chosen.sets.items() for row in rows}
    return (
        {
            "id": row["id"],
            "source": row["source"],
            "modality": row["modality"],
            "family": row["family"],
            "topic": topic,
            "level": row["level"],
            "pass_rate": row["pass_rate"],
            "question_characters": len(row["question"]),
            "solution_characters": row["solution_characters"],
            "x": x,
            "y": y,
            "set": set_of.get(row["id"]),
        }
        for row, topic, (x, y) in zip(problems, found.names, found.places.tolist(), strict=True)
    )


def examples(chosen: Selection, topic_of: Mapping[str, str], seed: int) -> list[Outline]:
    """A few problems of each set, of different topics as far as there are any."""
    picked: list[Outline] = []
    for index, problems in enumerate(chosen.sets.values()):
        order = np.random.default_rng([seed, index]).permutation(len(problems))
        seen, turns = Counter[str](), list[tuple[int, int]]()
        for place in order.tolist():
            topic = topic_of[problems[place]["id"]]
            turns.append((seen[topic], place))  # each topic's first problem before any second
            seen[topic] += 1
        turns.sort(key=itemgetter(0))
        picked += [problems[place] for _, place in turns[:NUM_EXAMPLES]]
    return picked


def _counts(
    problems: Sequence[Outline], field: Literal["source", "family", "level"]
) -> dict[str, int]:
    ordered = sorted(problems, key=itemgetter(field))
    return dict(Counter(str(problem[field]) for problem in ordered))


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
