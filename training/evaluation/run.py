"""Evaluates every policy on every benchmark, one policy in memory at a time."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from contracts.scores import Gain, Scores
from training.answers import Outcome, Verifier
from training.evaluation.items import Item, Rule
from training.evaluation.prediction import Prediction, prediction_dataset
from training.evaluation.registry import load_benchmarks, metric_of
from training.evaluation.scores import paired_gain, reads_right, score_of
from training.evaluation.verdicts import extract
from training.evaluation.verdicts import judge as judge_by_rules
from training.model.policy import load_policy
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe
from training.recipe.recipe import Recipe
from training.records import write_problems
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, Request, RolloutEngine, SamplingSettings
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.sampling.chunks import Answer
from training.sampling.job import SamplingJob
from training.sampling.verdicts import Judge

Benchmarks = Mapping[str, Sequence[Item]]


def evaluate(
    recipe: Recipe,
    policies: Mapping[str, Path],
    output: Path,
    *,
    folders: Mapping[str, Path] | None = None,
    save: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Writes `predictions.parquet`, `scores.json`, `problems.parquet`, and `metrics.jsonl`.

    `scores.json` holds `scores`, one Score for each policy and benchmark, and `gains`, one Gain
    for each policy after the base.

    All processes of a stage take part in the sampling; the first one asks and writes. A policy
    that earlier attempts have asked everything is not loaded again.

    Args:
        recipe: The run's recipe; `recipe.evaluation` names the benchmarks and the decoding.
        policies: Model folders by name, the base first.
        output: The folder to write to.
        folders: The benchmarks' files, by the names that stages know them by; nothing for those
            that are generated.
        save: Where chunks of responses are left while it runs; None saves none.
        resume: A folder with the chunks of earlier attempts.

    Raises:
        RecipeError: A benchmark is unknown.
        DataError: A benchmark's files are not what was published, or one cannot be scored.
        ModelError: A folder holds no model, or the probe refuses it.
        Preempted: The stage was told to stop.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    is_writer = device.rank() == 0
    benchmarks = load_benchmarks(recipe.evaluation, folders or {}) if is_writer else {}
    asked = {name: requests_of(name, benchmarks, recipe.evaluation) for name in policies}
    engine: RolloutEngine | None = None

    def open_policy(folder: Path) -> RolloutEngine:
        nonlocal engine
        loaded = load_policy(folder, recipe.model, system_prompt=recipe.system_prompt)
        engine = open_engine(recipe.rollout, loaded, previous=engine)
        return engine

    with (
        Verifier(accept_rounded=recipe.answers.accept_rounded) as verifier,
        SamplingJob(
            seed=recipe.seed,
            judges={each.name: judge_of(verifier) for each in recipe.evaluation.benchmarks},
            log=MetricsLog(output / "metrics.jsonl" if is_writer else None),
            save=save,
            resume=resume,
        ) as job,
    ):
        if is_writer:
            job.start([request for requests in asked.values() for request in requests])
        for policy, folder in policies.items():
            job.ask(asked[policy], partial(open_policy, folder))
        if is_writer:
            predictions = {
                policy: predictions_of(policy, benchmarks, job.answers(requests))
                for policy, requests in asked.items()
            }
            write_scores(predictions, recipe, output)
            asked_problems = [item.problem for items in benchmarks.values() for item in items]
            write_problems(asked_problems, output / "problems.parquet")  # for the report


def requests_of(policy: str, benchmarks: Benchmarks, recipe: EvaluationRecipe) -> list[Request]:
    """What one policy is asked: every problem of every benchmark.

    The draws do not depend on the policy: two policies are compared on the same random numbers.
    Temperature 0 draws nothing.
    """
    settings = {each.name: settings_of(each, recipe) for each in recipe.benchmarks}
    return [
        Request(
            id=f"{policy}/{item.problem['id']}",
            prompt=Prompt(item.prompt, item.problem["images"]),
            settings=settings[name],
            reference=item.rule.to_json(),
            judge=name,
        )
        for name, items in benchmarks.items()
        for item in items
    ]


def settings_of(benchmark: BenchmarkRecipe, recipe: EvaluationRecipe) -> SamplingSettings:
    """How one benchmark's items are asked: by its own settings, or by those of all."""
    return SamplingSettings(
        recipe.max_response_tokens,
        samples_per_prompt=recipe.samples_of(benchmark),
        temperature=recipe.temperature_of(benchmark),
    )


def judge_of(verifier: Verifier) -> Judge:
    """Verdicts by the rule that came with each request."""

    def judge(requests: Sequence[Request], responses: Sequence[str]) -> list[Outcome]:
        rules = [Rule.from_json(request.reference) for request in requests]
        questions = [request.prompt.question for request in requests]
        return judge_by_rules(rules, responses, questions, verifier)

    return judge


def predictions_of(
    policy: str, benchmarks: Benchmarks, answers: Sequence[Sequence[Answer]]
) -> dict[str, list[Prediction]]:
    """One policy's predictions by benchmark.

    Args:
        policy: Its name.
        benchmarks: The items that it was asked.
        answers: To each item, in their order, all.
    """
    left = iter(answers)
    return {
        name: [
            prediction(policy, name, item, sample, answer)
            for item in items
            for sample, answer in enumerate(next(left))
        ]
        for name, items in benchmarks.items()
    }


def prediction(policy: str, benchmark: str, item: Item, sample: int, answer: Answer) -> Prediction:
    """An item with one of its judged responses."""
    problem = item.problem
    return {
        "policy": policy,
        "benchmark": benchmark,
        "problem_id": problem["id"],
        "sample": sample,
        "level": problem["level"],
        "family": problem["family"],
        "cluster": item.cluster,
        "part": item.part,
        "question": problem["question"],
        "answer": problem["answer"],
        "rule": item.rule.kind,
        "response": answer["text"],
        "extracted": extract(answer["text"], item.rule.kind),
        "outcome": answer["outcome"],
        "truncated": answer["truncated"],
        "reading_right": reads_right(problem["reading"], answer["text"]),
        "num_tokens": answer["num_tokens"],
    }


def write_scores(
    predictions: Mapping[str, Mapping[str, Sequence[Prediction]]], recipe: Recipe, output: Path
) -> None:
    """Writes the results, of predictions by policy and benchmark."""
    pairs = {
        (policy, benchmark): rows
        for policy, by_benchmark in predictions.items()
        for benchmark, rows in by_benchmark.items()
    }
    generator = np.random.default_rng([recipe.seed, 1])  # not the one of the gains
    metrics = {each.name: metric_of(each) for each in recipe.evaluation.benchmarks}
    scores = [score_of(rows, metrics[name], generator) for (_, name), rows in pairs.items()]
    gains = gains_over_base(pairs, metrics, recipe.seed)
    found = Scores(scores=tuple(scores), gains=tuple(gains))
    (output / "scores.json").write_text(found.model_dump_json(indent=2), encoding="utf-8")
    every = [row for rows in pairs.values() for row in rows]
    prediction_dataset(every).to_parquet(str(output / "predictions.parquet"))


def gains_over_base(
    predictions: Mapping[tuple[str, str], Sequence[Prediction]],
    metrics: Mapping[str, str],
    seed: int,
) -> list[Gain]:
    """Every later policy against the first one, on every benchmark."""
    base = next(iter(predictions))[0]
    generator = np.random.default_rng(seed)
    return [
        paired_gain(rows, predictions[base, benchmark], metrics[benchmark], generator)
        for (policy, benchmark), rows in predictions.items()
        if policy != base
    ]
