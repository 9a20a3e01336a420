"""Stage 0, GRAMMAR curation (paper section 3.1): from sources to balanced sets of problems.

Sources -> the recipe's steps -> difficulty -> traces -> topics -> balanced selection. The recipe's
steps, in its order: verifiability, equal problems, prompt length, near duplicates, decontamination,
and rules of the user's own. Every row that comes in goes out in one set or among the rejects.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from training.answers import AnswerVerifier, Outcome, Verifier, count_outcomes
from training.curation import account, difficulty, embedding, progress, selection, topics, traces
from training.curation.decontamination import BenchmarkIndex
from training.curation.naming import SYSTEM_PROMPT, Namer
from training.curation.outlines import (
    Outlines,
    Questions,
    outlined,
    rows_at,
    traces_at,
    whole,
)
from training.curation.prompt_lengths import count_prompt_tokens
from training.curation.row_steps import RowSteps
from training.curation.selection import Selection
from training.curation.shard_work import ShardWork
from training.curation.shards import read_rejects, read_usable
from training.curation.sift import Sifted, SourceCounts, sift, source_rows
from training.curation.step import Reject, write_rejects
from training.evaluation.registry import load_benchmarks
from training.model.policy import Policy, load_policy
from training.recipe.curation import EMBEDDING, GRADER, NAMER
from training.recipe.lengths import no_room
from training.recipe.model import ModelRecipe, RolloutRecipe
from training.recipe.recipe import Recipe
from training.records import Problem, write_problems
from training.rollout.engine import open_engine, open_sampler
from training.rollout.protocol import RolloutEngine, SamplingSettings
from training.rollout.room import refuse_crowded, room_tokens
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.runtime.preemption import Notice
from training.sampling.job import SamplingJob
from training.sampling.verdicts import REFERENCE, compare_with_reference
from training.tables import write_rows


def curate(
    recipe: Recipe,
    inputs: Mapping[str, Path],
    output: Path,
    *,
    save: Path | None = None,
    resume: Path | None = None,
    namer: str = "",
) -> None:
    """Writes the curated sets and an account of every row.

    Files: `<set>.parquet` for each set of the recipe; `rejects.parquet`, every other row with
    `reject_step` and `reject_reason`; `benchmark_questions.parquet`, the questions that no set may
    hold; `graded.parquet`, every problem that has a level, with its topic; `examples.parquet`, a
    few problems of each set; `summary.json`, the counts; `metrics.jsonl`, the progress.

    All processes of a stage take part in the steps that look at rows by themselves, and in the
    sampling; the first one alone reads sources, and writes.

    Args:
        recipe: The run's recipe.
        inputs: Folders: `policy`, the base model's, whose pass rate is the difficulty; those of a
            grader, an embedding model and one that names topics, if the recipe names them; and the
            files of each source and benchmark.
        output: The folder to write to.
        save: Where chunks of responses, and what was found in shards of rows, are left while it
            runs; None saves none.
        resume: A folder with what earlier attempts have left.
        namer: Digest of what decides how the model answers that names topics.

    Raises:
        DataError: A source or a benchmark is missing, unreadable or lacks a column.
        RecipeError: A benchmark is unknown, or a stage's responses leave its prompts no room.
        ModelError: The folder holds no model, or the probe refuses it.
        Preempted: The stage was told to stop.
    """
    hardware, grader, names = recipe.hardware, recipe.curation.grader, recipe.curation.topics.names
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    base = load_policy(inputs["policy"], recipe.model, system_prompt=recipe.system_prompt)
    room = room_tokens(base, recipe.rollout)
    evaluated = no_room(room, "evaluation", recipe.evaluation.max_response_tokens)
    refuse_crowded(chain(recipe.crowded(room), evaluated))
    is_writer = device.rank() == 0
    log = MetricsLog(output / "metrics.jsonl" if is_writer else None)

    # Not closed after an error: others may still sample, and nobody may wait for them.
    engines = ExitStack()

    def open_base() -> RolloutEngine:
        return engines.enter_context(closing(open_engine(recipe.rollout, base)))

    def open_next(
        name: str, model: ModelRecipe, rollout: RolloutRecipe, system_prompt: str
    ) -> RolloutEngine:
        engines.close()
        base.model.to("meta")  # from here on only its tokenizer is needed
        device.release_cached_memory()
        opened = open_sampler(rollout, inputs[name], model, system_prompt=system_prompt)
        return engines.enter_context(closing(opened))

    def open_grader() -> RolloutEngine:
        assert grader is not None
        return open_next(GRADER, grader.model, recipe.grader_rollout, recipe.system_prompt)

    def open_namer() -> RolloutEngine:
        assert names is not None
        assert names.model is not None
        return open_next(NAMER, names.model, recipe.names_rollout, SYSTEM_PROMPT)

    notice = Notice()
    with ShardWork(save, resume) as work:
        with (
            Verifier(
                accept_rounded=recipe.answers.accept_rounded, on_wait=notice.check
            ) as verifier,
            SamplingJob(
                seed=recipe.seed,
                judges={REFERENCE: compare_with_reference(verifier)},
                log=log,
                save=save,
                resume=resume,
                notice=notice,
            ) as job,
        ):
            # No limit for a shard's answers together: the last would be late on a slow machine.
            with Verifier(
                accept_rounded=recipe.answers.accept_rounded,
                batch_seconds=math.inf,
                on_wait=work.stop_if_told,
            ) as unhurried:
                read = gather(recipe, inputs, base, unhurried, work)
            if read is None:
                job.ask([], open_base)
                if grader is not None:
                    job.ask([], open_grader)
                graded = None
            else:
                graded = grade(recipe, read.sifted.usable, job, open_base, open_grader)
            engines.close()
        asked = None
        if names is not None:
            places = {"save": save, "resume": resume}
            asked = Namer(names, open_namer, digest=namer, seed=recipe.seed, **places)
        if read is not None and graded is not None:
            write(recipe, inputs, base, read, graded, asked, output)
        elif asked is not None:
            asked.help()
        engines.close()


@dataclass(frozen=True)
class Read:
    """What came in.

    Attributes:
        counts: Of the sources.
        benchmarks: Their questions, by name.
        sifted: The rows, after every step that samples nothing.
    """

    counts: SourceCounts
    benchmarks: dict[str, list[Problem]]
    sifted: Sifted


@dataclass(frozen=True)
class Graded:
    """What came of the sampling.

    Attributes:
        problems: Those with pass rate and level.
        reasons: Row of a problem without them -> why, where that is known.
        verification: The verdicts on the base model's answers.
    """

    problems: Outlines
    reasons: dict[int, str]
    verification: dict[Outcome, int]


def gather(
    recipe: Recipe,
    inputs: Mapping[str, Path],
    base: Policy,
    verifier: AnswerVerifier,
    work: ShardWork,
) -> Read | None:
    """Reads the sources and the benchmarks, and filters without sampling; on every process.

    Returns:
        What came in, on the first process; else None.
    """
    counts = SourceCounts()
    benchmarks = load_questions(recipe, inputs)
    rows = source_rows(recipe.sources, inputs, recipe.seed, counts, work.stop_if_told)
    steps = row_steps(recipe, base, benchmarks, verifier)
    sifted = sift(rows, steps, recipe.curation.decontamination, work)
    return None if sifted is None else Read(counts, benchmarks, sifted)


def load_questions(recipe: Recipe, inputs: Mapping[str, Path]) -> dict[str, list[Problem]]:
    """The questions of the benchmarks, by name; a choice's text is the answer, not its letter."""
    return {
        name: [{**item.problem, "answer": item.rule.told()} for item in items]
        for name, items in load_benchmarks(recipe.evaluation, inputs).items()
    }


def row_steps(
    recipe: Recipe,
    base: Policy,
    benchmarks: Mapping[str, Sequence[Problem]],
    verifier: AnswerVerifier,
) -> RowSteps:
    """What is looked for in a shard, by the recipe."""
    curation = recipe.curation
    return RowSteps(
        verifier,
        partial(count_prompt_tokens, base),
        BenchmarkIndex(benchmarks),
        # What the base has no room for could only be asked of nobody.
        curation.kept_prompt_tokens(room_tokens(base, recipe.rollout)),
        curation.decontamination.containment,
        curation.duplicates.similarity,
        curation.steps,
    )


def grade(
    recipe: Recipe,
    usable: Sequence[Path],
    job: SamplingJob,
    open_base: Callable[[], RolloutEngine],
    open_grader: Callable[[], RolloutEngine],
) -> Graded:
    """Asks the base model, and the grader if there is one; on the first process."""
    curation, problems = recipe.curation, outlined(usable)
    requests = difficulty.pass_rate_requests(
        read_usable(usable), sampling_settings(recipe, curation.samples_per_problem)
    )
    with progress.step(progress.PASS_RATE) as told:
        job.start(requests)
        job.ask(requests, open_base)
        outcomes = job.outcomes(requests)
        rates = difficulty.pass_rates(problems, outcomes)
        unknown = Counter({difficulty.NOT_VERIFIED: int(np.isnan(rates).sum())})
        told += [progress.counts(len(problems), +unknown), f"{len(requests)} asked"]
    del requests  # with questions and pictures, which the grader's have as well
    grades = dict[int, int | str]()
    if curation.grader is not None:
        num_samples = curation.grader.samples_per_problem
        settings = sampling_settings(recipe, num_samples)
        with progress.step(progress.LEVEL) as told:
            asked = difficulty.grade_requests(read_usable(usable), rates, curation.sets, settings)
            job.start(list(asked.values()))
            job.ask(list(asked.values()), open_grader)
            grades = difficulty.grades_of(list(asked), job.measures(asked.values()), num_samples)
            num_rated = len(problems) - unknown.total()
            unknown = Counter(level for level in grades.values() if isinstance(level, str))
            told += [progress.counts(num_rated, unknown), f"{len(asked)} asked"]
    return Graded(
        difficulty.assign_difficulty(problems, rates, grades),
        {place: reason for place, reason in grades.items() if isinstance(reason, str)},
        count_outcomes(chain.from_iterable(outcomes)),
    )


def write(
    recipe: Recipe,
    inputs: Mapping[str, Path],
    base: Policy,
    read: Read,
    asked: Graded,
    namer: Namer | None,
    output: Path,
) -> None:
    """Finds topics, has them named, fills the sets and writes them with their account."""
    graded, curation = asked.problems, recipe.curation
    num_graded, usable, rows = len(graded), read.sifted.usable, graded["row"].to_numpy()
    with progress.step(progress.TRACES) as told:
        faults = traces.faults(
            traces_at(usable, rows),
            curation.traces,
            lambda text: len(base.tokenizer.encode(text)),
        )
        num_traced = num_graded - graded["solution_characters"].null_count
        # A problem whose trace has a fault may still enter sets that need none.
        told.append(f"{num_graded} rows in, all left")
        reasons = Counter(fault for fault in faults if fault is not None)
        told.append(f"of {num_traced} traces {progress.rejected(reasons)}")
    questions = Questions(usable, rows)
    found = find_topics(recipe, inputs, questions)
    named = None
    if namer is not None:
        named = namer.name(account.topic_questions(questions, found, recipe.seed)).model_dump()
    with progress.step(selection.STEP) as told:
        balanced = found.names if curation.balance_by == "topic" else None
        chosen = selection.select(graded, curation.sets, recipe.seed, faults, balanced)
        told.append(progress.counts(num_graded, Counter(chosen.reasons)))
    with progress.step(progress.SETS) as told:
        counts = account.RejectCounts()
        rejects = counts.passing(all_rejects(read.sifted, asked, chosen))
        write_rejects(rejects, output / "rejects.parquet")
        account.require_account(read.sifted.num_rows, chosen, counts.total)
        for name, places in chosen.sets.items():
            problems = whole(graded.take(pa.array(places)), usable)
            write_problems(problems, output / f"{name}.parquet")
            told.append(f"{name} {len(places)}, {chosen.shortfall[name]} fewer than asked for")
        lines = account.graded_rows(graded, found, chosen)
        write_rows(lines, account.GRADED_FEATURES, output / "graded.parquet")
        picked = account.examples(chosen, found.names, recipe.seed)
        examples = whole(graded.take(pa.array(picked, pa.int64())), usable)
        write_problems(examples, output / "examples.parquet")
        account.write_questions(read.benchmarks, output / "benchmark_questions.parquet")
        summary = {
            **account.summarise(read.counts.rows, graded, found.names, chosen, counts),
            "topics": account.summarise_topics(found),
            "topic_names": named,
            "converted_traces": dict(sorted(read.counts.conversions.items())),
            "number_variants": read.sifted.variants,
            "verification": asked.verification,
            "system_turns_left_out": dict(read.counts.system_turns),
            "shared_ids": dict(read.counts.shared_ids),
        }
        text = json.dumps(summary, indent=2)
        (output / "summary.json").write_text(text, encoding="utf-8")
        told.append(f"{counts.total} rejects; {read.sifted.num_rows} rows came in")


def all_rejects(sifted: Sifted, graded: Graded, chosen: Selection) -> Iterator[Reject]:
    """Every row that is in no set, step by step.

    Args:
        sifted: What came in.
        graded: Of the usable rows.
        chosen: Tells of these which no set took, and why.
    """
    yield from read_rejects(sifted.rejects)
    ungraded = np.setdiff1d(np.arange(sifted.num_usable), graded.problems["row"].to_numpy())
    for place, row in zip(ungraded.tolist(), rows_at(sifted.usable, ungraded), strict=True):
        reason = graded.reasons.get(place, difficulty.NOT_VERIFIED)
        yield Reject(row, difficulty.STEP, reason)
    left = whole(graded.problems.take(pa.array(chosen.left)), sifted.usable)
    for row, reason in zip(left, chosen.reasons, strict=True):
        yield Reject(row, selection.STEP, reason)


def find_topics(recipe: Recipe, inputs: Mapping[str, Path], questions: Questions) -> topics.Topics:
    """The topics of questions, as the recipe says."""

    def embedded() -> None:
        progress.end(progress.EMBEDDINGS, f"{len(questions)} rows in, all left")
        progress.begin(progress.TOPICS)

    progress.begin(progress.EMBEDDINGS)
    embed = embedder(recipe, inputs)
    found = topics.find_topics(questions, recipe.curation.topics, recipe.seed, embed, embedded)
    num_topics, num_without = len({*found.names} - {topics.OTHER}), found.names.count(topics.OTHER)
    told = f"{len(questions)} rows in, all left; {num_topics} topics, {num_without} rows of none"
    progress.end(progress.TOPICS, told)
    return found


def sampling_settings(recipe: Recipe, num_samples: int) -> SamplingSettings:
    """How a model is asked."""
    return SamplingSettings(
        max_response_tokens=recipe.curation.max_response_tokens,
        temperature=recipe.curation.temperature,
        samples_per_prompt=num_samples,
    )


def embedder(recipe: Recipe, inputs: Mapping[str, Path]) -> topics.Embed | None:
    """The recipe's sentence-embedding model, loaded; None if it names none."""
    asked = recipe.curation.topics.embedding
    if asked is None:
        return None
    return embedding.encoder(inputs[EMBEDDING], asked.max_tokens)
