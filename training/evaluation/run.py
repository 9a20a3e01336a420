"""Evaluates every policy on every benchmark, one policy in memory at a time."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from contracts.errors import InputError
from contracts.scores import Verdicts
from training.answers import Verifier
from training.evaluation.asking import (
    Answered,
    Pair,
    doubts,
    judge_of,
    predictions_of,
)
from training.evaluation.items import Item
from training.evaluation.judge import Opinion, opinions
from training.evaluation.parts import ANSWERS, REPLIES, Place, Questions, read_part, write_part
from training.evaluation.registry import load_benchmarks
from training.evaluation.requests import requests_of
from training.evaluation.summary import write_scores
from training.evaluation.verdicts import rules_digest, scorer
from training.model.policy import load_policy
from training.recipe.endpoint import EndpointRecipe, JudgeRecipe
from training.recipe.lengths import no_room
from training.recipe.recipe import Recipe
from training.records import write_problems
from training.rollout.engine import open_engine
from training.rollout.http_engine import HttpEngine
from training.rollout.protocol import Answerer, Finished, RolloutEngine, Sample
from training.rollout.room import refuse_crowded, room_tokens
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.runtime.preemption import Notice
from training.sampling.job import SamplingJob
from training.sampling.verdicts import judged

Benchmarks = Mapping[str, Sequence[Item]]
# A policy that is not here but behind an endpoint: its folder holds this, an `EndpointRecipe`.
ENDPOINT_FILE = "endpoint.json"
# Below the output: what was asked this time, POLICY/BENCHMARK each.
PARTS_FOLDER, REPLIES_FOLDER = "parts", "replies"


def evaluate(
    recipe: Recipe,
    policies: Mapping[str, Path | None],
    output: Path,
    *,
    folders: Mapping[str, Path] | None = None,
    parts: Mapping[Pair, Path] | None = None,
    replies: Mapping[Pair, Path] | None = None,
    save: Path | None = None,
    resume: Path | None = None,
    verdict_code: str | None = None,
) -> None:
    """Writes `predictions.parquet`, `scores.json`, `problems.parquet`, and `metrics.jsonl`.

    `scores.json` holds `scores`, one Score for each policy and benchmark, and `gains`, one Gain
    for each policy after the base. Where something was asked this time, all answers of the policy
    to the benchmark lie in `parts/POLICY/BENCHMARK` as they came, and the judge's replies in
    `replies/POLICY/BENCHMARK`: another evaluation takes them as its `parts` and `replies`. Verdicts
    are made here, of all answers alike, by the rules as they are.

    All processes of a stage take part in the sampling; the first one asks and writes. A policy
    that has been asked everything is not loaded again.

    Args:
        recipe: The run's recipe; `recipe.evaluation` names the benchmarks and the decoding.
        policies: Model folders by name, the base first; None for one whose answers are all in
            `parts`.
        output: The folder to write to.
        folders: The benchmarks' files, by the names that stages know them by; nothing for those
            that are generated.
        parts: What earlier evaluations have asked: folders with `answers.parquet`, by the names of
            policy and benchmark.
        replies: What a judge said of these: folders with `replies.parquet`.
        save: Where chunks of responses are left while it runs; None saves none.
        resume: A folder with the chunks of earlier attempts.
        verdict_code: Digest of the code that judges, for the scores; None leaves it unknown.

    Raises:
        RecipeError: A benchmark is unknown, or the responses leave no room for any prompt.
        DataError: A benchmark's files are not what was published, or one cannot be scored.
        ModelError: A folder holds no model, or the probe refuses it.
        InputError: An endpoint will not do, or has stopped answering; or an answer is missing of a
            policy that is None.
        Preempted: The stage was told to stop.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    is_writer = device.rank() == 0
    benchmarks = load_benchmarks(recipe.evaluation, folders or {}) if is_writer else {}
    # In the order of policies, then of the recipe's benchmarks.
    asked = {
        (policy, one.name): Questions(
            requests_of(policy, one, benchmarks[one.name], recipe.evaluation),
            _kept(parts or {}, (policy, one.name), ANSWERS),
            singly=_is_endpoint(folder),
        )
        for policy, folder in policies.items()
        for one in (recipe.evaluation.benchmarks if is_writer else ())
    }
    notice = Notice()
    with (
        scorer(accept_rounded=recipe.answers.accept_rounded, on_wait=notice.check) as verifier,
        SamplingJob(
            seed=recipe.seed,
            judges=None,
            log=MetricsLog(output / "metrics.jsonl" if is_writer else None),
            save=save,
            resume=resume,
            notice=notice,
        ) as job,
    ):
        finished = _ask_policies(recipe, policies, asked, job, is_writer=is_writer)
        for (policy, benchmark), questions in asked.items():
            if questions.left:
                path = output / PARTS_FOLDER / policy / benchmark / ANSWERS
                write_part(finished[policy, benchmark], questions.kept, path)
        with notice if save is not None else nullcontext():
            rows = _judged(recipe, benchmarks, finished, verifier)
        said = _ask_judge(recipe, rows, replies or {}, output, job, is_writer=is_writer)
        if is_writer:
            with notice if save is not None else nullcontext():
                found = _opinions(rows, said, verifier)
            predictions = {pair: predictions_of(pair, rows[pair], found[pair]) for pair in asked}
            verdicts = {
                name: Verdicts(
                    code=verdict_code,
                    rules=rules_digest(items, accept_rounded=recipe.answers.accept_rounded),
                )
                for name, items in benchmarks.items()
            }
            write_scores(predictions, verdicts, recipe, output)
            every = [item.problem for items in benchmarks.values() for item in items]
            write_problems(every, output / "problems.parquet")  # for the report


def _is_endpoint(folder: Path | None) -> bool:
    return folder is not None and (folder / ENDPOINT_FILE).is_file()


def _kept(folders: Mapping[Pair, Path], pair: Pair, name: str) -> dict[Place, Sample]:
    return read_part(folders[pair] / name) if pair in folders else {}


def _ask_policies(
    recipe: Recipe,
    policies: Mapping[str, Path | None],
    asked: Mapping[Pair, Questions],
    job: SamplingJob,
    *,
    is_writer: bool,
) -> dict[Pair, list[Finished]]:
    """All answers of each policy to each benchmark, item by item; on the first process."""
    engine: RolloutEngine | None = None
    left = {pair: questions.left for pair, questions in asked.items()}
    for (policy, benchmark), requests in left.items():
        if requests and policies[policy] is None:
            raise InputError(
                f"{len(requests)} questions of {benchmark} are not among the answers of {policy}, "
                "whose model is not here.",
                where=f"the stored answers of {policy} to {benchmark}",
                rule="answers that are taken without their model are answers to every question",
                fix="run again with `--reuse none`: the model is asked everything anew",
            )
    every = [request for requests in left.values() for request in requests]
    sees = any(request.prompt.images for request in every)

    def open_policy(folder: Path) -> Answerer:
        nonlocal engine
        if _is_endpoint(folder):
            return _open_endpoint(folder, recipe, sees=sees)
        loaded = load_policy(folder, recipe.model, system_prompt=recipe.system_prompt)
        room = room_tokens(loaded, recipe.rollout)
        refuse_crowded(no_room(room, "evaluation", recipe.evaluation.max_response_tokens))
        engine = open_engine(recipe.rollout, loaded, previous=engine)
        return engine

    if is_writer:
        job.start(every)
    for policy, folder in policies.items():
        if folder is not None:
            own = [one for pair, requests in left.items() if pair[0] == policy for one in requests]
            job.ask(own, partial(open_policy, folder))
    drawn = {rows[0]["request"]: rows for rows in job.answers(every)}
    return {pair: questions.finished(drawn) for pair, questions in asked.items()}


def _open_endpoint(folder: Path, recipe: Recipe, *, sees: bool) -> HttpEngine:
    text = (folder / ENDPOINT_FILE).read_text(encoding="utf-8")
    engine = HttpEngine(
        EndpointRecipe.model_validate_json(text),
        recipe.evaluation.connection,
        system_prompt=recipe.system_prompt,
    )
    engine.check(sees=sees)
    return engine


def _judged(
    recipe: Recipe,
    benchmarks: Benchmarks,
    finished: Mapping[Pair, Sequence[Finished]],
    verifier: Verifier,
) -> dict[Pair, list[Answered]]:
    """Every answer with the rules' verdict."""
    judges = {each.name: judge_of(verifier) for each in recipe.evaluation.benchmarks}
    verdicts = iter(judged([one for own in finished.values() for one in own], judges))
    return {
        (policy, benchmark): [
            Answered(item, request, next(verdicts))
            for item, (request, samples) in zip(benchmarks[benchmark], own, strict=True)
            for _ in samples
        ]
        for (policy, benchmark), own in finished.items()
    }


Said = Mapping[Pair, Mapping[int, Sample]]  # a judge's replies, by the responses' numbers


def _ask_judge(
    recipe: Recipe,
    rows: Mapping[Pair, Sequence[Answered]],
    replies: Mapping[Pair, Path],
    output: Path,
    job: SamplingJob,
    *,
    is_writer: bool,
) -> Said:
    """The judge's replies by pair and number of the response; none where there is no judge."""
    judge = recipe.evaluation.judge
    if judge is None:
        return {pair: {} for pair in rows}
    asked = {pair: doubts(answered, judge, recipe.seed) for pair, answered in rows.items()}
    kept = {pair: _kept(replies, pair, REPLIES) for pair in rows}
    # Equal questions are one, whoever gave the response.
    every = {one.prompt.digest: one for own in asked.values() for one in own.values()}
    known = {place: reply for own in kept.values() for place, reply in own.items()}
    questions = Questions([*every.values()], known, singly=True)
    left = questions.left
    if is_writer:
        job.start(left)
    job.ask(left, partial(_open_judge, judge))
    drawn = {found[0]["request"]: found for found in job.answers(left)}
    said = {request.prompt.digest: one for request, (one,) in questions.finished(drawn)}
    for (policy, benchmark), own in asked.items():
        digests = dict.fromkeys(request.prompt.digest for request in own.values())
        if any((digest, 0, 0) not in kept[policy, benchmark] for digest in digests):
            found = [(every[digest], [said[digest]]) for digest in digests]
            path = output / REPLIES_FOLDER / policy / benchmark / REPLIES
            write_part(found, kept[policy, benchmark], path)
    return {
        pair: {number: said[request.prompt.digest] for number, request in own.items()}
        for pair, own in asked.items()
    }


def _open_judge(judge: JudgeRecipe) -> HttpEngine:
    engine = HttpEngine(judge, judge.connection, system_prompt=None)
    engine.check(sees=False)
    return engine


def _opinions(
    rows: Mapping[Pair, Sequence[Answered]], said: Said, verifier: Verifier
) -> dict[Pair, dict[int, Opinion]]:
    """What the judge's replies come to, by pair and number of the response."""
    looked_at = [(pair, number) for pair, own in said.items() for number in own]
    answered = [rows[pair][number] for pair, number in looked_at]
    found = opinions(
        [row.item for row in answered],
        [row.answer["text"] for row in answered],
        [said[pair][number] for pair, number in looked_at],
        verifier,
    )
    by_pair: dict[Pair, dict[int, Opinion]] = {pair: {} for pair in said}
    for (pair, number), opinion in zip(looked_at, found, strict=True):
        by_pair[pair][number] = opinion
    return by_pair
