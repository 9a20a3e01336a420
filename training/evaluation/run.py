"""Evaluates every policy on every benchmark, one policy in memory at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from training.answers import Verifier
from training.curation.difficulty import prompt_length_order
from training.evaluation.benchmark import Benchmark
from training.evaluation.registry import find_benchmark, load_benchmarks
from training.evaluation.scores import (
    Gain,
    Prediction,
    paired_gain,
    prediction_dataset,
    reads_right,
)
from training.model.policy import load_policy
from training.recipe.recipe import Recipe
from training.records import Problem
from training.rollout.engine import open_engine
from training.rollout.protocol import Response, RolloutEngine, SamplingSettings
from training.rollout.sharded import ShardedEngine
from training.runtime import device
from training.runtime.metrics import MetricsLog


def evaluate(recipe: Recipe, policies: Mapping[str, Path], output: Path) -> None:
    """Writes `predictions.parquet`, `scores.json` and the progress in `metrics.jsonl`.

    `scores.json` holds `scores`, one Score for each policy and benchmark, and `gains`, one Gain
    for each policy after the base.

    All processes of a stage take part in the sampling; the first one writes.

    Args:
        recipe: The run's recipe; `recipe.evaluation` names the benchmarks and the decoding.
        policies: Model folders by name, the base first.
        output: The folder to write to.

    Raises:
        RecipeError: A benchmark is unknown.
        ModelError: A folder holds no model, or the probe refuses it.
    """
    device.start(recipe.hardware.threads_per_process)
    is_writer = device.rank() == 0
    problems = load_benchmarks(recipe.evaluation)
    log = MetricsLog(output / "metrics.jsonl" if is_writer else None)
    num_responses = len(policies) * sum(len(rows) for rows in problems.values())
    num_done = 0
    predictions: dict[tuple[str, str], list[Prediction]] = {}
    engine: RolloutEngine | None = None
    with Verifier() as verifier:
        for policy, folder in policies.items():
            loaded = load_policy(folder, recipe.model, system_prompt=recipe.system_prompt)
            engine = open_engine(recipe.rollout, loaded, previous=engine)
            for name, rows in answer(policy, engine, problems, verifier, recipe):
                predictions[policy, name] = rows
                num_done += len(rows)
                log.write(step=num_done, num_steps=num_responses)
    if not is_writer:
        return
    scores = [find_benchmark(name).aggregate(rows) for (_, name), rows in predictions.items()]
    report = {"scores": scores, "gains": gains_over_base(predictions, recipe.seed)}
    (output / "scores.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    every = [row for rows in predictions.values() for row in rows]
    prediction_dataset(every).to_parquet(str(output / "predictions.parquet"))


def answer(
    policy: str,
    engine: RolloutEngine,
    problems: Mapping[str, Sequence[Problem]],
    verifier: Verifier,
    recipe: Recipe,
) -> Iterator[tuple[str, list[Prediction]]]:
    """Yields each benchmark's name and one policy's judged responses."""
    sharded = ShardedEngine(engine)
    for name, rows in problems.items():
        responses = respond(find_benchmark(name), rows, sharded, recipe)
        yield name, judge(policy, name, rows, responses, verifier)


def respond(
    benchmark: Benchmark, problems: Sequence[Problem], engine: RolloutEngine, recipe: Recipe
) -> list[Response]:
    """One response to each problem, in the order of the problems.

    Problems are answered from the shortest prompt to the longest, so that a batch is not padded
    to one long prompt. The draws depend on the recipe's seed alone; temperature 0 draws nothing.
    """
    settings = SamplingSettings(
        recipe.evaluation.max_response_tokens, temperature=recipe.evaluation.temperature
    )
    generator = torch.Generator().manual_seed(recipe.seed + device.rank())
    order = prompt_length_order(problems)
    size = recipe.evaluation.batch_size
    responses: dict[int, Response] = {}
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        prompts = [benchmark.prompt(problems[index]) for index in batch]
        for index, response in zip(
            batch, engine.generate(prompts, settings, generator), strict=True
        ):
            responses[index] = response
    return [responses[index] for index in range(len(problems))]


def judge(
    policy: str,
    name: str,
    problems: Sequence[Problem],
    responses: Sequence[Response],
    verifier: Verifier,
) -> list[Prediction]:
    """The responses with the benchmark's verdict on each."""
    benchmark = find_benchmark(name)
    outcomes = benchmark.score(problems, [response.text for response in responses], verifier)
    return [
        {
            "policy": policy,
            "benchmark": name,
            "problem_id": problem["id"],
            "level": problem["level"],
            "family": problem["family"],
            "question": problem["question"],
            "answer": problem["answer"],
            "response": response.text,
            "extracted": benchmark.extract(response.text),
            "outcome": outcome,
            "truncated": response.truncated,
            "reading_right": reads_right(problem["reading"], response.text),
            "num_tokens": len(response.token_ids),
        }
        for problem, response, outcome in zip(problems, responses, outcomes, strict=True)
    ]


def gains_over_base(
    predictions: Mapping[tuple[str, str], Sequence[Prediction]], seed: int
) -> list[Gain]:
    """Every later policy against the first one, on every benchmark."""
    base = next(iter(predictions))[0]
    generator = np.random.default_rng(seed)
    return [
        paired_gain(rows, predictions[base, benchmark], generator)
        for (policy, benchmark), rows in predictions.items()
        if policy != base
    ]
