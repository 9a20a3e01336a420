"""One judged response: a row of `predictions.parquet`."""

from collections.abc import Sequence
from typing import TypedDict

from datasets import Dataset, Features, Value

from training.answers import Outcome
from training.evaluation.items import RuleKind


class Prediction(TypedDict):
    """One judged response: a row of `predictions.parquet`.

    Fields:
        policy: Name of the policy: `base` or a training stage.
        benchmark: Name of the benchmark.
        problem_id: The problem's id.
        sample: Which of the problem's responses it is, from 0.
        level: The problem's level, or None.
        family: The problem's topic.
        cluster: What it shares with problems that are no independent evidence, or its own id.
        part: Which part of its cluster the problem is, or None.
        question: What was asked.
        answer: The reference answer.
        rule: By which rule it was judged.
        response: The whole response.
        extracted: The answer found in the response, or None.
        outcome: The rule's verdict.
        truncated: True if the response ran out of tokens.
        reading_right: Whether the response transcribed the problem's givens rightly; None if the
            problem has no reading.
        num_tokens: Length of the response, tokens.
    """

    policy: str
    benchmark: str
    problem_id: str
    sample: int
    level: int | None
    family: str
    cluster: str
    part: str | None
    question: str
    answer: str
    rule: RuleKind
    response: str
    extracted: str | None
    outcome: Outcome
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


def is_right(prediction: Prediction) -> bool:
    """Whether the response was judged right."""
    return prediction["outcome"] == "right"
