"""Evaluates every policy on every benchmark, one policy in memory at a time."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from training.answers import Verifier
from training.evaluation.asking import (
    Answered,
    Pair,
    doubts,
    judge_of,
    predictions_of,
    requests_of,
)
from training.evaluation.items import Item
from training.evaluation.judge import NAME, Opinion, judge_of_replies, opinion
from training.evaluation.prediction import Prediction, read_predictions, write_predictions
from training.evaluation.registry import load_benchmarks
from training.evaluation.summary import write_scores
from training.model.policy import load_policy
from training.recipe.endpoint import EndpointRecipe, JudgeRecipe
from training.recipe.lengths import no_room
from training.recipe.recipe import Recipe
from training.records import write_problems
from training.rollout.engine import open_engine
from training.rollout.http_engine import HttpEngine
from training.rollout.protocol import Answerer, Request, RolloutEngine
from training.rollout.room import refuse_crowded, room_tokens
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.runtime.preemption import Notice
from training.sampling.job import SamplingJob

Benchmarks = Mapping[str, Sequence[Item]]
# A policy that is not here but behind an endpoint: its folder holds this, an `EndpointRecipe`.
ENDPOINT_FILE = "endpoint.json"
PARTS, ANSWERS = "parts", "answers.parquet"


def evaluate(
    recipe: Recipe,
    policies: Mapping[str, Path | None],
    output: Path,
    *,
    folders: Mapping[str, Path] | None = None,
    parts: Mapping[Pair, Path] | None = None,
    save: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Writes `predictions.parquet`, `scores.json`, `problems.parquet`, and `metrics.jsonl`.

    `scores.json` holds `scores`, one Score for each policy and benchmark, and `gains`, one Gain
    for each policy after the base. What was asked this time lies in `parts/POLICY/BENCHMARK` as
    well, each for itself: another evaluation takes it as one of its `parts`.

    All processes of a stage take part in the sampling; the first one asks and writes. A policy
    that earlier attempts have asked everything is not loaded again.

    Args:
        recipe: The run's recipe; `recipe.evaluation` names the benchmarks and the decoding.
        policies: Model folders by name, the base first; None for one whose answers are all in
            `parts`.
        output: The folder to write to.
        folders: The benchmarks' files, by the names that stages know them by; nothing for those
            that are generated.
        parts: What earlier evaluations have asked: folders with `answers.parquet`, by the names of
            policy and benchmark.
        save: Where chunks of responses are left while it runs; None saves none.
        resume: A folder with the chunks of earlier attempts.

    Raises:
        RecipeError: A benchmark is unknown, or the responses leave no room for any prompt.
        DataError: A benchmark's files are not what was published, or one cannot be scored.
        ModelError: A folder holds no model, or the probe refuses it.
        InputError: An endpoint will not do, or has stopped answering.
        Preempted: The stage was told to stop.
    """
    hardware, known = recipe.hardware, parts or {}
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    is_writer = device.rank() == 0
    benchmarks = load_benchmarks(recipe.evaluation, folders or {}) if is_writer else {}
    # In the order of policies, then of the recipe's benchmarks.
    asked = {
        (policy, one.name): requests_of(policy, one, benchmarks[one.name], recipe.evaluation)
        for policy in policies
        for one in (recipe.evaluation.benchmarks if is_writer else ())
        if (policy, one.name) not in known
    }
    notice = Notice()
    with (
        # No limit for answers that come together: a score does not depend on how busy a machine is.
        Verifier(
            accept_rounded=recipe.answers.accept_rounded,
            batch_seconds=math.inf,
            on_wait=notice.check,
        ) as verifier,
        SamplingJob(
            seed=recipe.seed,
            judges={
                **{each.name: judge_of(verifier) for each in recipe.evaluation.benchmarks},
                NAME: judge_of_replies(verifier),
            },
            log=MetricsLog(output / "metrics.jsonl" if is_writer else None),
            save=save,
            resume=resume,
            notice=notice,
        ) as job,
    ):
        _ask_policies(recipe, policies, asked, job, is_writer=is_writer)
        rows = _answered(benchmarks, asked, job)
        opinions = _ask_judge(recipe, rows, job, is_writer=is_writer)
        if is_writer:
            fresh = {pair: predictions_of(pair, rows[pair], opinions[pair]) for pair in asked}
            _write(recipe, list(policies), fresh, known, output)
            every = [item.problem for items in benchmarks.values() for item in items]
            write_problems(every, output / "problems.parquet")  # for the report


def _ask_policies(
    recipe: Recipe,
    policies: Mapping[str, Path | None],
    asked: Mapping[Pair, Sequence[Request]],
    job: SamplingJob,
    *,
    is_writer: bool,
) -> None:
    engine: RolloutEngine | None = None
    sees = any(one.prompt.images for requests in asked.values() for one in requests)

    def open_policy(folder: Path) -> Answerer:
        nonlocal engine
        if (folder / ENDPOINT_FILE).is_file():
            return _open_endpoint(folder, recipe, sees=sees)
        loaded = load_policy(folder, recipe.model, system_prompt=recipe.system_prompt)
        room = room_tokens(loaded, recipe.rollout)
        refuse_crowded(no_room(room, "evaluation", recipe.evaluation.max_response_tokens))
        engine = open_engine(recipe.rollout, loaded, previous=engine)
        return engine

    if is_writer:
        job.start([request for requests in asked.values() for request in requests])
    for policy, folder in policies.items():
        if folder is not None:
            own = [one for pair, requests in asked.items() if pair[0] == policy for one in requests]
            job.ask(own, partial(open_policy, folder))


def _open_endpoint(folder: Path, recipe: Recipe, *, sees: bool) -> HttpEngine:
    text = (folder / ENDPOINT_FILE).read_text(encoding="utf-8")
    engine = HttpEngine(
        EndpointRecipe.model_validate_json(text),
        recipe.evaluation.connection,
        system_prompt=recipe.system_prompt,
    )
    engine.check(sees=sees)
    return engine


def _answered(
    benchmarks: Benchmarks, asked: Mapping[Pair, Sequence[Request]], job: SamplingJob
) -> dict[Pair, list[Answered]]:
    """All responses of each policy to each benchmark, item by item."""
    left = iter(job.answers([one for requests in asked.values() for one in requests]))
    return {
        (policy, benchmark): [
            Answered(item, request, answer)
            for item, request in zip(benchmarks[benchmark], requests, strict=True)
            for answer in next(left)
        ]
        for (policy, benchmark), requests in asked.items()
    }


def _ask_judge(
    recipe: Recipe, rows: Mapping[Pair, Sequence[Answered]], job: SamplingJob, *, is_writer: bool
) -> dict[Pair, dict[int, Opinion]]:
    """The judge's opinions by pair and number of the response; none where there is no judge."""
    judge = recipe.evaluation.judge
    if judge is None:
        return {pair: {} for pair in rows}
    asked = {pair: doubts(answered, judge, recipe.seed) for pair, answered in rows.items()}
    # Equal requests are one.
    requests = list({one.key: one for own in asked.values() for one in own.values()}.values())
    if is_writer:
        job.start(requests)
    job.ask(requests, partial(_open_judge, judge))
    answers = {
        request.key: found[0]
        for request, found in zip(requests, job.answers(requests), strict=True)
    }
    return {
        pair: {
            number: opinion(answers[request.key], rows[pair][number].answer["text"])
            for number, request in own.items()
        }
        for pair, own in asked.items()
    }


def _open_judge(judge: JudgeRecipe) -> HttpEngine:
    engine = HttpEngine(judge, judge.connection, system_prompt=None)
    engine.check(sees=False)
    return engine


def _write(
    recipe: Recipe,
    policies: Sequence[str],
    fresh: Mapping[Pair, Sequence[Prediction]],
    known: Mapping[Pair, Path],
    output: Path,
) -> None:
    for (policy, benchmark), rows in fresh.items():
        # By whatever name another run knows the policy: the same answers, the same bytes.
        nameless: list[Prediction] = [{**row, "policy": ""} for row in rows]
        write_predictions(nameless, output / PARTS / policy / benchmark / ANSWERS)
    predictions = {
        (policy, one.name): fresh[policy, one.name]
        if (policy, one.name) in fresh
        else read_predictions(known[policy, one.name] / ANSWERS, policy)
        for policy in policies
        for one in recipe.evaluation.benchmarks
    }
    write_scores(predictions, recipe, output)
