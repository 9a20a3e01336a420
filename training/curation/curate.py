"""Stage 0, GRAMMAR curation (paper section 3.1): from sources to balanced sets of problems.

Sources -> verifiability -> equal problems -> prompt length -> near duplicates -> decontamination ->
difficulty -> topics -> balanced selection. Every row that comes in goes out in one set or among the
rejects.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from datasets import Features, Value

from training.answers import Outcome, Verifier, count_outcomes
from training.curation import (
    account,
    decontamination,
    difficulty,
    duplicates,
    embedding,
    selection,
    topics,
    traces,
    verifiability,
)
from training.curation.decontamination import BenchmarkIndex
from training.curation.sources import SourceRows, load_source
from training.curation.step import Reject, StepResult, write_rejects
from training.evaluation.registry import load_benchmarks
from training.model.encoding import encode_prompt
from training.model.policy import Policy, load_policy
from training.recipe.curation import EMBEDDING, GRADER
from training.recipe.recipe import Recipe
from training.records import Problem, question_key, write_problems
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, RolloutEngine, SamplingSettings
from training.runtime import device
from training.runtime.log import say
from training.runtime.metrics import MetricsLog
from training.sampling.job import SamplingJob
from training.sampling.verdicts import REFERENCE, AnswerVerifier, compare_with_reference
from training.tables import write_rows


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
    hold; `graded.parquet`, every problem that has a level, with its topic; `examples.parquet`, a
    few problems of each set; `summary.json`, the counts; `metrics.jsonl`, the progress.

    All processes of a stage take part in the sampling; the first one alone reads, filters and
    writes the rows.

    Args:
        recipe: The run's recipe.
        inputs: Folders: `policy`, the base model's, whose pass rate is the difficulty; those of a
            grader and an embedding model, if the recipe names them; and the files of each source
            and benchmark.
        output: The folder to write to.
        save: Where chunks of responses are left while it runs; None saves none.
        resume: A folder with the chunks of earlier attempts.

    Raises:
        DataError: A source or a benchmark is missing, unreadable or lacks a column.
        RecipeError: A benchmark is unknown.
        ModelError: The folder holds no model, or the probe refuses it.
        Preempted: The stage was told to stop.
    """
    hardware, grader = recipe.hardware, recipe.curation.grader
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    base = load_policy(inputs["policy"], recipe.model, system_prompt=recipe.system_prompt)
    is_writer = device.rank() == 0
    log = MetricsLog(output / "metrics.jsonl" if is_writer else None)

    def open_base() -> RolloutEngine:
        return open_engine(recipe.rollout, base)

    def open_grader() -> RolloutEngine:
        assert grader is not None
        base.model.to("cpu")  # from here on only its tokenizer is needed
        device.release_cached_memory()
        model = load_policy(inputs[GRADER], grader.model, system_prompt=recipe.system_prompt)
        return open_engine(recipe.rollout, model)

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
            if grader is not None:
                job.ask([], open_grader)
            return
        gathered = gather(recipe, inputs, base, verifier)
        asked = grade(recipe, gathered.usable.kept, job, open_base, open_grader)
    write(recipe, inputs, base, gathered, asked, output)


@dataclass(frozen=True)
class Gathered:
    """What the sources hold, and what of it can be asked.

    Attributes:
        sources: By name, as they were read.
        rows: All records, their traces in one format.
        conversions: How many traces each rule changed.
        benchmarks: Their questions, by name.
        usable: The rows that may be asked, and rejects.
        variants: Number variants of each benchmark's questions among the rows.
    """

    sources: dict[str, SourceRows]
    rows: list[Problem]
    conversions: dict[str, int]
    benchmarks: dict[str, list[Problem]]
    usable: StepResult
    variants: dict[str, int]

    @property
    def unmapped(self) -> list[Reject]:
        """Rows that could not be read as records."""
        return [reject for source in self.sources.values() for reject in source.rejects]


def gather(
    recipe: Recipe, inputs: Mapping[str, Path], base: Policy, verifier: AnswerVerifier
) -> Gathered:
    """Reads the sources and the benchmarks, and filters without sampling."""
    sources = {
        source.name: load_source(source, inputs[source.input_name], recipe.seed)
        for source in recipe.sources
    }
    rows, conversions = traces.convert_all([row for one in sources.values() for row in one.kept])
    for name, one in sources.items():
        say(f"source {name}: {len(one.kept)} rows; {_reasons(one.rejects)}")
    benchmarks = {
        name: [item.problem for item in items]
        for name, items in load_benchmarks(recipe.evaluation, inputs).items()
    }
    usable, variants = keep_usable(rows, recipe, base, benchmarks, verifier)
    return Gathered(sources, rows, conversions, benchmarks, usable, variants)


def grade(
    recipe: Recipe,
    problems: Sequence[Problem],
    job: SamplingJob,
    open_base: Callable[[], RolloutEngine],
    open_grader: Callable[[], RolloutEngine],
) -> tuple[StepResult, dict[Outcome, int]]:
    """Asks the base model, and the grader if there is one; on the first process.

    Returns:
        The problems with pass rate and level, and the verdicts on the base model's answers.
    """
    curation = recipe.curation
    requests = difficulty.pass_rate_requests(
        problems, sampling_settings(recipe, curation.samples_per_problem)
    )
    job.start(requests)
    job.ask(requests, open_base)
    outcomes = job.outcomes(requests)
    rates = difficulty.pass_rates(problems, outcomes)
    grades = dict[str, int | None]()
    if curation.grader is not None:
        num_samples = curation.grader.samples_per_problem
        settings = sampling_settings(recipe, num_samples)
        asked = difficulty.grade_requests(problems, rates, curation.sets, settings)
        job.start(list(asked.values()))
        job.ask(list(asked.values()), open_grader)
        grades = difficulty.grades_of(list(asked), job.measures(asked.values()), num_samples)
    graded = difficulty.assign_difficulty(problems, rates, grades)
    return graded, count_outcomes(chain.from_iterable(outcomes))


def write(
    recipe: Recipe,
    inputs: Mapping[str, Path],
    base: Policy,
    gathered: Gathered,
    asked: tuple[StepResult, dict[Outcome, int]],
    output: Path,
) -> None:
    """Finds topics, fills the sets and writes them with their account."""
    (graded, verification), curation = asked, recipe.curation
    faults = traces.faults(
        graded.kept,
        curation.traces,
        lambda texts: [len(base.tokenizer.encode(text)) for text in texts],
    )
    questions = [row["question"] for row in graded.kept]
    found = topics.find_topics(questions, curation.topics, recipe.seed, embedder(recipe, inputs))
    topic_of = {row["id"]: name for row, name in zip(graded.kept, found.names, strict=True)}
    balanced = topic_of if curation.balance_by == "topic" else None
    chosen = selection.select(graded.kept, curation.sets, recipe.seed, faults, balanced)
    rejects = [*gathered.unmapped, *gathered.usable.rejects, *graded.rejects, *chosen.rejects]
    rows_in = [*gathered.rows, *(reject.problem for reject in gathered.unmapped)]
    account.require_account(len(rows_in), chosen, rejects)
    for name, problems in chosen.sets.items():
        write_problems(problems, output / f"{name}.parquet")
        say(f"set {name}: {len(problems)} problems, {chosen.shortfall[name]} fewer than asked for")
    write_rejects(rejects, output / "rejects.parquet")
    lines = account.graded_rows(graded.kept, found, chosen)
    write_rows(lines, account.GRADED_FEATURES, output / "graded.parquet")
    examples = account.examples(chosen, topic_of, recipe.seed)
    write_problems(examples, output / "examples.parquet")
    write_questions(gathered.benchmarks, output / "benchmark_questions.parquet")
    summary = {
        **account.summarise(rows_in, chosen, rejects, topic_of),
        "topics": account.summarise_topics(found),
        "converted_traces": gathered.conversions,
        "number_variants": gathered.variants,
        "verification": verification,
        "system_turns_left_out": {
            name: one.num_system_turns for name, one in gathered.sources.items()
        },
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def sampling_settings(recipe: Recipe, num_samples: int) -> SamplingSettings:
    """How a model is asked."""
    return SamplingSettings(
        max_response_tokens=recipe.curation.max_response_tokens,
        temperature=recipe.curation.temperature,
        samples_per_prompt=num_samples,
    )


def embedder(recipe: Recipe, inputs: Mapping[str, Path]) -> topics.Embed | None:
    """The recipe's sentence-embedding model; None if it names none."""
    asked = recipe.curation.topics.embedding
    if asked is None:
        return None
    return partial(embedding.embed, folder=inputs[EMBEDDING], max_tokens=asked.max_tokens)


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
        say(f"{len(kept)} rows are left; {_reasons(result.rejects)}")
    return StepResult(kept, rejects), variants


def _reasons(rejects: Sequence[Reject]) -> str:
    """How many rows were rejected, for which reasons."""
    counts = Counter(f"{reject.step}, {reject.reason}" for reject in rejects)
    return "; ".join(f"{count} {why}" for why, count in counts.most_common()) or "none rejected"


def write_questions(benchmarks: Mapping[str, Sequence[Problem]], path: Path) -> None:
    """The benchmarks' questions by key, for the gate that looks for them in the curated sets."""
    rows = (
        {
            "benchmark": name,
            "problem_id": problem["id"],
            "question": problem["question"],
            "question_key": question_key(problem["question"], problem["images"]),
        }
        for name, problems in benchmarks.items()
        for problem in problems
    )
    columns = ("benchmark", "problem_id", "question", "question_key")
    write_rows(rows, Features({name: Value("string") for name in columns}), path)
