"""What an evaluation comes to: `scores.json` and `predictions.parquet`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contracts.scores import Gain, Scores, Verdicts
from training.evaluation.asking import Pair
from training.evaluation.prediction import Prediction, write_predictions
from training.evaluation.registry import metric_of
from training.evaluation.scores import paired_gain, score_of
from training.recipe.recipe import Recipe

Predictions = Mapping[Pair, Sequence[Prediction]]


def write_scores(
    predictions: Predictions, verdicts: Mapping[str, Verdicts], recipe: Recipe, output: Path
) -> None:
    """Writes the results.

    Args:
        predictions: By policy and benchmark, the base first.
        verdicts: How each benchmark's answers were judged.
        recipe: The run's recipe.
        output: The folder to write to.
    """
    metrics = {each.name: metric_of(each) for each in recipe.evaluation.benchmarks}
    kinds = {each.name: each.kind for each in recipe.evaluation.benchmarks}
    judge = recipe.evaluation.judge
    name = None if judge is None else f"{judge.model}, prompt {judge.prompt}"
    scores = [
        score_of(
            rows, metrics[benchmark], generator_of(recipe.seed, benchmark), name, kinds[benchmark]
        ).model_copy(update={"verdicts": verdicts[benchmark]})
        for (_, benchmark), rows in predictions.items()
    ]
    gains = gains_over_base(predictions, metrics, recipe.seed)
    found = Scores(scores=tuple(scores), gains=tuple(gains))
    (output / "scores.json").write_text(found.model_dump_json(indent=2), encoding="utf-8")
    every = (row for rows in predictions.values() for row in rows)
    write_predictions(every, output / "predictions.parquet")


def gains_over_base(predictions: Predictions, metrics: Mapping[str, str], seed: int) -> list[Gain]:
    """Every later policy against the first one, on every benchmark."""
    base = next(iter(predictions))[0]
    return [
        paired_gain(
            rows,
            predictions[base, benchmark],
            metrics[benchmark],
            generator_of(seed, benchmark),
        )
        for (policy, benchmark), rows in predictions.items()
        if policy != base
    ]


def generator_of(seed: int, benchmark: str) -> np.random.Generator:
    """A generator of its own for each score and gain, whatever else is evaluated beside it.

    The policy's name is not in it: the same answers have the same interval by any name.
    """
    return np.random.default_rng([seed, *benchmark.encode()])
