"""Stage 0, GRAMMAR curation (paper section 3.1): from sources to balanced sets of problems.

Sources -> verifiability -> duplicates -> decontamination -> prompt length -> difficulty ->
balanced selection. Every row that comes in goes out in one set or among the rejects.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset, Features, Value

from training.answers import Outcome, Verifier, count_outcomes
from training.curation import difficulty, selection, verifiability
from training.curation.selection import Selection
from training.curation.sources import load_source
from training.curation.step import Reject, StepResult, reject_dataset
from training.curation.verifiability import AnswerVerifier
from training.evaluation.registry import load_benchmarks
from training.model.encoding import encode_prompt
from training.model.policy import Policy, load_policy
from training.recipe.recipe import Recipe
from training.records import Problem, question_key, write_problems
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, SamplingSettings
from training.rollout.sharded import ShardedEngine
from training.runtime import device
from training.runtime.metrics import MetricsLog


def curate(recipe: Recipe, inputs: Mapping[str, Path], output: Path) -> None:
    """Writes the curated sets and an account of every row.

    Files: `<set>.parquet` for each set of the recipe; `rejects.parquet`, every other row with
    `reject_step` and `reject_reason`; `benchmark_questions.parquet`, the questions that no set may
    hold; `summary.json`, the counts; `metrics.jsonl`, the progress.

    All processes of a stage take part in the sampling; the first one writes.

    Args:
        recipe: The run's recipe.
        inputs: Folders: `policy`, the base model's, whose pass rate is the difficulty; and the
            files of each source.
        output: The folder to write to.

    Raises:
        DataError: A source is missing, unreadable or lacks a column.
        RecipeError: A benchmark is unknown.
        ModelError: The folder holds no model, or the probe refuses it.
    """
    device.start(recipe.hardware.threads_per_process)
    base = load_policy(inputs["policy"], recipe.model, system_prompt=recipe.system_prompt)
    rows = [
        row
        for source in recipe.sources
        for row in load_source(source, inputs[source.input_name], recipe.seed)
    ]
    benchmarks = load_benchmarks(recipe.evaluation)
    is_writer = device.rank() == 0
    log = MetricsLog(output / "metrics.jsonl" if is_writer else None)
    with Verifier() as verifier:
        usable = keep_usable(rows, recipe, base, benchmarks, verifier)
        graded, outcomes = grade(usable.kept, recipe, base, verifier, log)
    chosen = selection.select(graded.kept, recipe.curation.sets, recipe.seed)
    if not is_writer:
        return
    rejects = [*usable.rejects, *graded.rejects, *chosen.rejects]
    for name, problems in chosen.sets.items():
        write_problems(problems, output / f"{name}.parquet")
    reject_dataset(rejects).to_parquet(str(output / "rejects.parquet"))
    question_dataset(benchmarks).to_parquet(str(output / "benchmark_questions.parquet"))
    summary = {**summarise(rows, chosen, rejects), "verification": outcomes}
    (output / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def keep_usable(
    rows: Sequence[Problem],
    recipe: Recipe,
    base: Policy,
    benchmarks: Mapping[str, Sequence[Problem]],
    verifier: AnswerVerifier,
) -> StepResult:
    """Every filter that needs no sampling, the cheapest first."""
    asked = {
        question_key(problem["question"], problem["images"])
        for problems in benchmarks.values()
        for problem in problems
    }

    def count_tokens(prompts: Sequence[Prompt]) -> list[int]:
        return [len(encode_prompt(base, prompt).token_ids) for prompt in prompts]

    kept, rejects = list(rows), list[Reject]()
    steps: tuple[Callable[[list[Problem]], StepResult], ...] = (
        lambda problems: verifiability.keep_verifiable(problems, verifier),
        verifiability.drop_duplicates,
        lambda problems: verifiability.drop_benchmark_questions(problems, asked),
        lambda problems: verifiability.drop_long_prompts(
            problems, count_tokens, recipe.curation.max_prompt_tokens
        ),
    )
    for step in steps:
        result = step(kept)
        kept, rejects = result.kept, rejects + result.rejects
    return StepResult(kept, rejects)


def grade(
    problems: Sequence[Problem],
    recipe: Recipe,
    base: Policy,
    verifier: AnswerVerifier,
    log: MetricsLog,
) -> tuple[StepResult, dict[Outcome, int]]:
    """Measures the base model's pass rates and assigns levels.

    Returns:
        The graded problems, and the outcomes of all verifications.
    """
    settings = SamplingSettings(
        max_response_tokens=recipe.curation.max_response_tokens,
        temperature=recipe.curation.temperature,
        samples_per_prompt=recipe.curation.samples_per_problem,
    )
    totals = count_outcomes([])

    def progress(num_done: int, num_problems: int, outcomes: dict[Outcome, int]) -> None:
        for outcome, count in outcomes.items():
            totals[outcome] += count
        counts: dict[str, int] = {f"verification_{name}": n for name, n in totals.items()}
        log.write(step=num_done, num_steps=num_problems, **counts)

    generator = torch.Generator().manual_seed(recipe.seed + device.rank())
    rates = difficulty.measure_pass_rates(
        problems,
        ShardedEngine(open_engine(recipe.rollout, base)),
        verifier=verifier,
        settings=settings,
        generator=generator,
        progress=progress,
    )
    return difficulty.assign_difficulty(problems, rates), totals


def question_dataset(benchmarks: Mapping[str, Sequence[Problem]]) -> Dataset:
    """The benchmarks' questions by key, for the gate that looks for them in the curated sets."""
    rows = [(name, problem) for name, problems in benchmarks.items() for problem in problems]
    columns = {
        "benchmark": [name for name, _ in rows],
        "problem_id": [problem["id"] for _, problem in rows],
        "question": [problem["question"] for _, problem in rows],
        "question_key": [question_key(row["question"], row["images"]) for _, row in rows],
    }
    return Dataset.from_dict(columns, features=Features({c: Value("string") for c in columns}))


def summarise(
    rows: Sequence[Problem], chosen: Selection, rejects: Sequence[Reject]
) -> dict[str, Any]:
    """Counts that account for every row.

    Returns:
        `rows_in`, `rows_in_sets`, `rows_rejected`; `sources`, rows by source;
        `rejected`, rows by source, step and reason; `sets`, for each set its rows,
        its shortfall and its rows by source, family and level.
    """
    rejected: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for reject in rejects:
        rejected[reject.problem["source"]][reject.step][reject.reason] += 1
    num_in_sets = sum(len(problems) for problems in chosen.sets.values())
    return {
        "rows_in": len(rows),
        "rows_in_sets": num_in_sets,
        "rows_rejected": len(rejects),
        "sources": Counter(row["source"] for row in rows),
        "rejected": rejected,
        "sets": {
            name: {
                "num_problems": len(problems),
                "shortfall": chosen.shortfall[name],
                "by_source": _counts(problems, "source"),
                "by_family": _counts(problems, "family"),
                "by_level": _counts(problems, "level"),
            }
            for name, problems in chosen.sets.items()
        },
    }


def _counts(
    problems: Sequence[Problem], field: Literal["source", "family", "level"]
) -> dict[str, int]:
    ordered = sorted(problems, key=itemgetter(field))
    return dict(Counter(str(problem[field]) for problem in ordered))
