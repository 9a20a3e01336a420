"""Stage 0, GRAMMAR curation (paper section 3.1): from sources to balanced sets of problems.

Sources -> verifiability -> equal problems -> prompt length -> near duplicates -> decontamination ->
difficulty -> balanced selection. Every row that comes in goes out in one set or among the rejects.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, Features, Value

from training.answers import Verifier, count_outcomes
from training.curation import (
    decontamination,
    difficulty,
    duplicates,
    selection,
    traces,
    verifiability,
)
from training.curation.decontamination import BenchmarkIndex
from training.curation.selection import Selection
from training.curation.sources import load_source
from training.curation.step import Reject, StepResult, reject_dataset
from training.evaluation.registry import load_benchmarks
from training.model.encoding import encode_prompt
from training.model.policy import Policy, load_policy
from training.recipe.recipe import Recipe
from training.records import Problem, question_key, write_problems
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, RolloutEngine, SamplingSettings
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.sampling.job import SamplingJob
from training.sampling.verdicts import REFERENCE, AnswerVerifier, compare_with_reference


def curate(
    recipe: Recipe,
    inputs: Mapping[str, Path],
    output: Path,
    *,
    save: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Writes the curated sets and an account of every row.

    Files: `<set>.parquet` for each set of the recipe; `rejects.parquet`, every other row with
    `reject_step` and `reject_reason`; `benchmark_questions.parquet`, the questions that no set may
    hold; `summary.json`, the counts; `metrics.jsonl`, the progress.

    All processes of a stage take part in the sampling; the first one alone reads, filters and
    writes the rows.

    Args:
        recipe: The run's recipe.
        inputs: Folders: `policy`, the base model's, whose pass rate is the difficulty; and the
            files of each source and benchmark.
        output: The folder to write to.
        save: Where chunks of responses are left while it runs; None saves none.
        resume: A folder with the chunks of earlier attempts.

    Raises:
        DataError: A source or a benchmark is missing, unreadable or lacks a column.
        RecipeError: A benchmark is unknown.
        ModelError: The folder holds no model, or the probe refuses it.
        Preempted: The stage was told to stop.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    base = load_policy(inputs["policy"], recipe.model, system_prompt=recipe.system_prompt)
    is_writer = device.rank() == 0
    log = MetricsLog(output / "metrics.jsonl" if is_writer else None)

    def open_base() -> RolloutEngine:
        return open_engine(recipe.rollout, base)

    with (
        Verifier(accept_rounded=recipe.answers.accept_rounded) as verifier,
        SamplingJob(
            seed=recipe.seed,
            judges={REFERENCE: compare_with_reference(verifier)},
            log=log,
            save=save,
            resume=resume,
        ) as job,
    ):
        if not is_writer:
            job.ask([], open_base)
            return
        sources = {
            source.name: load_source(source, inputs[source.input_name], recipe.seed)
            for source in recipe.sources
        }
        unmapped = [reject for source in sources.values() for reject in source.rejects]
        rows, conversions = traces.convert_all(
            [row for source in sources.values() for row in source.kept]
        )
        benchmarks = {
            name: [item.problem for item in items]
            for name, items in load_benchmarks(recipe.evaluation, inputs).items()
        }
        usable, variants = keep_usable(rows, recipe, base, benchmarks, verifier)
        requests = difficulty.pass_rate_requests(usable.kept, sampling_settings(recipe))
        job.start(requests)
        job.ask(requests, open_base)
        outcomes = job.outcomes(requests)
    rates = difficulty.pass_rates(usable.kept, outcomes)
    graded = difficulty.assign_difficulty(usable.kept, rates)
    faults = traces.faults(
        graded.kept,
        recipe.curation.traces,
        lambda texts: [len(base.tokenizer.encode(text)) for text in texts],
    )
    chosen = selection.select(graded.kept, recipe.curation.sets, recipe.seed, faults)
    rejects = [*unmapped, *usable.rejects, *graded.rejects, *chosen.rejects]
    for name, problems in chosen.sets.items():
        write_problems(problems, output / f"{name}.parquet")
    reject_dataset(rejects).to_parquet(str(output / "rejects.parquet"))
    question_dataset(benchmarks).to_parquet(str(output / "benchmark_questions.parquet"))
    verification = count_outcomes(chain.from_iterable(outcomes))
    rows_in = [*rows, *(reject.problem for reject in unmapped)]
    summary = {
        **summarise(rows_in, chosen, rejects),
        "converted_traces": conversions,
        "number_variants": variants,
        "verification": verification,
        "system_turns_left_out": {name: one.num_system_turns for name, one in sources.items()},
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def sampling_settings(recipe: Recipe) -> SamplingSettings:
    """How the base model is asked."""
    return SamplingSettings(
        max_response_tokens=recipe.curation.max_response_tokens,
        temperature=recipe.curation.temperature,
        samples_per_prompt=recipe.curation.samples_per_problem,
    )


def keep_usable(
    rows: Sequence[Problem],
    recipe: Recipe,
    base: Policy,
    benchmarks: Mapping[str, Sequence[Problem]],
    verifier: AnswerVerifier,
) -> tuple[StepResult, dict[str, int]]:
    """Every filter that needs no sampling, the cheapest first.

    Returns:
        The step's result, and the number variants of each benchmark's questions that were found.
    """
    settings, variants = recipe.curation, dict[str, int]()

    def count_tokens(prompts: Sequence[Prompt]) -> list[int]:
        return [len(encode_prompt(base, prompt).token_ids) for prompt in prompts]

    def drop_near_duplicates(problems: Sequence[Problem]) -> StepResult:
        if not settings.duplicates.near:
            return StepResult(list(problems), [])
        return duplicates.drop_near_duplicates(problems, settings.duplicates.similarity, verifier)

    def decontaminate(problems: Sequence[Problem]) -> StepResult:
        found = decontamination.decontaminate(
            problems,
            BenchmarkIndex(benchmarks),
            settings.decontamination.containment,
            reject_variants=settings.decontamination.number_variants == "reject",
        )
        variants.update(found.variants)
        return found.result

    kept, rejects = list(rows), list[Reject]()
    steps: tuple[Callable[[list[Problem]], StepResult], ...] = (
        lambda problems: verifiability.keep_verifiable(problems, verifier),
        verifiability.drop_duplicates,
        # Before the steps whose time grows with a text's length.
        lambda problems: verifiability.drop_long_prompts(
            problems, count_tokens, settings.max_prompt_tokens
        ),
        drop_near_duplicates,
        decontaminate,
    )
    for step in steps:
        result = step(kept)
        kept, rejects = result.kept, rejects + result.rejects
    return StepResult(kept, rejects), variants


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
