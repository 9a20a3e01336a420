"""From judged responses to scores: accuracy with its interval, by level, by family, and gains."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
from datasets import Dataset, Features, Value

from contracts.scores import Gain, Score, Share
from training.answers import Outcome, count_outcomes
from training.evaluation.intervals import cluster_bootstrap, wilson


class Prediction(TypedDict):
    """One judged response: a row of `predictions.parquet`.

    Fields:
        policy: Name of the policy: `base` or a training stage.
        benchmark: Name of the benchmark.
        problem_id: The problem's id.
        sample: Which of the problem's responses it is, from 0.
        level: The problem's level, or None.
        family: The problem's topic.
        question: What was asked.
        answer: The reference answer.
        response: The whole response.
        extracted: The answer found in the response, or None.
        outcome: The verifier's verdict.
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
    question: str
    answer: str
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
        "question": Value("string"),
        "answer": Value("string"),
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


def accuracy_score(predictions: Sequence[Prediction], generator: np.random.Generator) -> Score:
    """Share of right answers: the accuracy, or mean@k where each problem has k responses.

    A response that is wrong, holds no answer, or whose verification timed out is not right; the
    outcomes are counted apart. Problems are independent draws, the responses to one are not: the
    interval is Wilson's with one response a problem, and a bootstrap over problems with more.

    Args:
        predictions: One policy's predictions on one benchmark, at least one; as many of every
            problem.
        generator: Draws the bootstrap's resamples.
    """
    right = [is_right(row) for row in predictions]
    ids = [row["problem_id"] for row in predictions]
    num_problems = len(set(ids))
    num_samples = len(ids) // num_problems
    if num_samples == 1:
        low, high = wilson(sum(right), num_problems)
    else:
        low, high = cluster_bootstrap(right, ids, generator)
    outcomes = [row["outcome"] for row in predictions]
    readings = [row["reading_right"] for row in predictions if row["reading_right"] is not None]
    return Score(
        policy=predictions[0]["policy"],
        benchmark=predictions[0]["benchmark"],
        metric="accuracy" if num_samples == 1 else f"mean@{num_samples}",
        value=_mean(right),
        low=low,
        high=high,
        num_problems=num_problems,
        outcomes={str(k): n for k, n in count_outcomes(outcomes).items()},
        truncated=_mean([row["truncated"] for row in predictions]),
        mean_tokens=_mean([row["num_tokens"] for row in predictions]),
        by_level=_shares(predictions, lambda row: row["level"]),
        by_family=_shares(predictions, lambda row: row["family"]),
        reading=_mean(readings) if readings else None,
    )


def paired_gain(
    policy: Sequence[Prediction], over: Sequence[Prediction], generator: np.random.Generator
) -> Gain:
    """Difference of two accuracies on the same problems, with a paired bootstrap interval.

    Args:
        policy: Predictions of the policy, in the benchmark's order.
        over: Predictions of the policy to compare with, in the same order.
        generator: Draws the bootstrap's resamples.
    """
    pairs = list(zip(policy, over, strict=True))
    differences = [100.0 * (is_right(one) - is_right(other)) for one, other in pairs]
    ids = [one["problem_id"] for one in policy]
    low, high = cluster_bootstrap(differences, ids, generator)
    return Gain(
        policy=policy[0]["policy"],
        over=over[0]["policy"],
        benchmark=policy[0]["benchmark"],
        points=_mean(differences),
        low_points=low,
        high_points=high,
    )


def is_right(prediction: Prediction) -> bool:
    """Whether the response was judged right."""
    return prediction["outcome"] == "right"


_GIVEN = re.compile(r"Given:(.*?)(?:\.(?=\s|<|$)|<|$)", re.MULTILINE)


def reads_right(reading: str | None, response: str) -> bool | None:
    """Whether the response transcribes the givens as the problem's reading says.

    The transcription is what follows the first `Given:`, to the end of its sentence, compared
    apart from case and white space. None if the problem has no reading.
    """
    if reading is None:
        return None
    found = _GIVEN.search(response)
    return found is not None and _normalised(found[1]) == _normalised(reading)


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _shares(
    predictions: Sequence[Prediction], group_of: Callable[[Prediction], int | str | None]
) -> dict[str, Share]:
    groups: dict[int | str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        group = group_of(row)
        if group is not None:
            groups[group].append(row)
    return {
        str(group): Share(
            value=_mean([is_right(row) for row in rows]),
            n=len({row["problem_id"] for row in rows}),
        )
        for group, rows in sorted(groups.items())
    }
