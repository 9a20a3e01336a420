"""One judged response: a row of `predictions.parquet`."""

from collections.abc import Sequence
from typing import TypedDict

from datasets import Dataset, Features, Value

from training.answers import Outcome
from training.evaluation.items import RuleKind


class Judged(TypedDict):
    """What a metric needs of a judged response.

    Fields:
        problem_id: The problem's id.
        sample: Which of the problem's responses it is, from 0.
        cluster: What it shares with problems that are no independent evidence, or its own id.
        part: Which part of its cluster the problem is, or None.
        rule: By which rule it was judged.
        outcome: The rule's verdict.
    """

    problem_id: str
    sample: int
    cluster: str
    part: str | None
    rule: RuleKind
    outcome: Outcome


class Prediction(Judged):
    """One judged response: a row of `predictions.parquet`.

    Fields:
        policy: Name of the policy: `base` or a training stage.
        benchmark: Name of the benchmark.
        level: The problem's level, or None.
        family: The problem's topic.
        question: What was asked.
        answer: The reference answer.
        response: The whole response.
        extracted: The answer found in the response, or None.
        truncated: True if the response ran out of tokens.
        reading_right: Whether the response transcribed the problem's givens rightly; None if the
            problem has no reading.
        num_tokens: Length of the response, tokens.
    """

    policy: str
    benchmark: str
    level: int | None
    family: str
    question: str
    answer: str
    response: str
    extracted: str | None
    truncated: bool
    reading_right: bool | None
    num_tokens: int


PREDICTION_FEATURES = Features(
    {
        "policy": Value("string"),
        "benchmark": Value("string"),
        "problem_id": Value("string"),
        "sample": Value("int32"),
        "level": Value("int32"),
        "family": Value("string"),
        "cluster": Value("string"),
        "part": Value("string"),
        "question": Value("string"),
        "answer": Value("string"),
        "rule": Value("string"),
        "response": Value("string"),
        "extracted": Value("string"),
        "outcome": Value("string"),
        "truncated": Value("bool"),
        "reading_right": Value("bool"),
        "num_tokens": Value("int32"),
    }
)


def prediction_dataset(predictions: Sequence[Prediction]) -> Dataset:
    """Collects predictions into a `datasets.Dataset`."""
    columns = {name: [dict(row)[name] for row in predictions] for name in PREDICTION_FEATURES}
    return Dataset.from_dict(columns, features=PREDICTION_FEATURES)


def is_right(prediction: Judged) -> bool:
    """Whether the response was judged right."""
    return prediction["outcome"] == "right"
