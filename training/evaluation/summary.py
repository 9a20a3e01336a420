"""What an evaluation comes to: `scores.json` and `predictions.parquet`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contracts.scores import Gain, Scores
from training.evaluation.asking import Pair
from training.evaluation.prediction import Prediction, write_predictions
from training.evaluation.registry import metric_of
from training.evaluation.scores import paired_gain, score_of
from training.recipe.recipe import Recipe

Predictions = Mapping[Pair, Sequence[Prediction]]


def write_scores(predictions: Predictions, recipe: Recipe, output: Path) -> None:
    """Writes the results, of predictions by policy and benchmark, the base first."""
    generator = np.random.default_rng([recipe.seed, 1])  # not the one of the gains
    metrics = {each.name: metric_of(each) for each in recipe.evaluation.benchmarks}
    kinds = {each.name: each.kind for each in recipe.evaluation.benchmarks}
    judge = recipe.evaluation.judge
    name = None if judge is None else f"{judge.model}, prompt {judge.prompt}"
    scores = [
        score_of(rows, metrics[benchmark], generator, name, kinds[benchmark])
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
    generator = np.random.default_rng(seed)
    return [
        paired_gain(rows, predictions[base, benchmark], metrics[benchmark], generator)
        for (policy, benchmark), rows in predictions.items()
        if policy != base
    ]
