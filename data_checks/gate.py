"""The gates of a run: Great Expectations after curation, each training stage, and evaluation.

A gate reads an artifact, says what it saw of every expectation, and raises when one is broken whose
severity in the recipe is `error`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.errors import RevisualError
from contracts.run_record import GateCheck, GateRecord
from data_checks import frames
from data_checks.near import near_duplicates
from data_checks.raw import raw_parts
from data_checks.steps import read_steps, steps_frame
from data_checks.validate import Checked, load_suites, validate
from data_checks.weights import files_frame, tensors_frame
from training.recipe.gates import RAW_ROWS
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, Stage


class GateError(RevisualError):
    """Something broke an expectation of a gate whose severity is `error`.

    Attributes:
        checked: What the gate saw.
    """

    def __init__(self, checked: Checked, *, where: str, fix: str) -> None:
        record = checked.record
        stopping = record.stopping
        what = f"The gate {record.name!r} found {len(stopping)} broken expectation(s)"
        if record.decision is not None:
            what += f", and was {record.decision.verdict}: {record.decision.reason}"
        super().__init__(
            f"{what.rstrip('.')}.",
            where=where,
            rule="\n         ".join(map(describe, stopping)),
            fix=fix,
        )
        self.checked = checked

    @property
    def record(self) -> GateRecord:
        """Every check."""
        return self.checked.record

    @property
    def broken_rows(self) -> dict[str, list[str]]:
        """Name of each failed check -> the first ids of the rows that break it."""
        return {check.name: list(check.first_ids) for check in self.record.failed}

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.checked, self.where, self.fix)


def _rebuild(checked: Checked, where: str, fix: str) -> GateError:
    return GateError(checked, where=where, fix=fix)


def check_curation(recipe: Recipe, folder: Path) -> Checked:
    """Checks the curated sets, between curation and training.

    Args:
        recipe: The run's recipe; `gates.curation` holds what it demands.
        folder: The artifact of `training.curation.curate.curate`.

    Raises:
        GateError: A check failed whose severity is `error`.
        DataError: A file of the artifact is missing or has other columns.
    """
    gate, sets = recipe.gates.curation, recipe.curation.sets
    names = [each.name for each in sets]
    every = frames.curated_frame(folder, names)
    if gate.max_near_duplicates < 1.0:  # it takes minutes for a million rows
        similarity = recipe.curation.duplicates.similarity
        every["near_duplicate_of"] = near_duplicates(folder, names, every, similarity)
    keys = frames.benchmark_keys(folder)
    suites = load_suites()
    from data_checks import raw_suites

    sources = [source.name for source in recipe.sources]
    tables = [
        (suites.set_suite(each, gate, sources, keys), every[every["set"] == each.name])
        for each in sets
    ]
    tables.append((suites.disjoint_suite(gate), every))
    tables.append((suites.accounting_suite(gate), frames.accounting_frame(folder, names)))
    tables.append((raw_suites.rejects_suite(gate), frames.rejects_frame(folder)))
    return _demand(
        validate("curation", gate, chain(tables, _raw_tables(recipe, folder))),
        where=str(folder),
        fix="look at summary.json and rejects.parquet, then correct the sources, "
        "curation.sets or gates.curation",
    )


def _raw_tables(recipe: Recipe, folder: Path) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The raw rows of every source in parts, if somebody asks something of them."""
    gate = recipe.gates.curation
    if not gate.reads_raw_rows:
        return
    load_suites()
    from data_checks.raw_suites import raw_suite

    by_source = {source.name: raw_suite(source, gate) for source in recipe.sources}
    own = {
        one.column for one in gate.expectations if one.kind == "unique" and one.table == RAW_ROWS
    }
    sets = [each.name for each in recipe.curation.sets]
    for source, part in raw_parts(folder, sets, sorted(own)):
        if source in by_source:  # of any other one "rows in" tells
            yield by_source[source], part


def check_checkpoint(
    recipe: Recipe, stage: Stage, folder: Path, before: Path, digests: Mapping[str, str]
) -> Checked:
    """Checks the weights that a training stage leaves, before anything is made of them.

    Args:
        recipe: The run's recipe; `gates.checkpoint` holds what it demands.
        stage: The stage.
        folder: The model that it left.
        before: The model that it began with.
        digests: File of the model -> SHA-256, as the store's manifest says.

    Raises:
        GateError: A check failed whose severity is `error`.
        DataError: A file cannot be read.
    """
    suites = load_suites()
    tables = [
        (suites.files_suite(), files_frame(folder, digests)),
        (suites.tensors_suite(), tensors_frame(folder, before)),
    ]
    return _demand(
        validate(f"checkpoint-{stage.name}", recipe.gates.checkpoint, tables),
        where=str(folder),
        fix=f"look at the log and the curves of {stage.name}: a smaller learning rate keeps "
        "weights finite; or correct gates.checkpoint",
    )


def check_rollouts(recipe: Recipe, stage: RlStage, folder: Path) -> Checked:
    """Checks what an RL stage sampled: rewards that differ, answers that end.

    Args:
        recipe: The run's recipe; `gates.rollouts` holds what it demands.
        stage: The stage.
        folder: Its artifact, or at least `metrics.jsonl` of it.

    Raises:
        GateError: A check failed whose severity is `error`.
        DataError: A file cannot be read.
    """
    path = folder / "metrics.jsonl"
    return check_steps(recipe, stage, read_steps(path), where=str(path))


def check_steps(
    recipe: Recipe, stage: RlStage, steps: Sequence[Mapping[str, Any]], *, where: str
) -> Checked:
    """As `check_rollouts`, of figures at hand: those of a stage that still trains, say.

    Args:
        recipe: The run's recipe; `gates.rollouts` holds what it demands.
        stage: The stage.
        steps: Lines of its `metrics.jsonl`.
        where: Whose they are, for the message.

    Raises:
        GateError: A check failed whose severity is `error`.
    """
    gate = recipe.gates.rollouts
    suites, frame = load_suites(), steps_frame(steps)
    # A step without an update has no figure of it, nor has one whose updates were all left out;
    # whoever does not say so has made one.
    left_out = frame["loss"].isna() & (frame["nonfinite_updates"] > 0.0)
    updates = frame[(frame["skipped_update"] != 1.0) & ~left_out]
    tables = [
        (suites.steps_suite(gate, stage.num_steps), frame),
        (suites.updates_suite(gate, has_reference=stage.kl is not None), updates),
    ]
    return _demand(
        validate(f"rollouts-{stage.name}", gate, tables),
        where=where,
        fix=f"look at the curves of {stage.name}, then correct its rewards, lengths or data, or "
        "gates.rollouts",
    )


def check_evaluation(
    recipe: Recipe, folder: Path, policies: Sequence[str] | None = None
) -> Checked:
    """Checks the scores and predictions, after the evaluation.

    Gains are those of the final checkpoint over the base, drops those of a stage behind the stage
    before, on every benchmark.

    Args:
        recipe: The run's recipe; `gates.evaluation` holds what it demands.
        folder: The artifact of `training.evaluation.run.evaluate`.
        policies: Who was evaluated, if it is not the recipe's own stages: neither gains nor drops
            are looked at.

    Raises:
        GateError: A check failed whose severity is `error`.
        DataError: A file of the artifact is missing or has other columns.
    """
    gate = recipe.gates.evaluation
    own = ["base", *(stage.name for stage in recipe.stages)]
    benchmarks = [each.name for each in recipe.evaluation.benchmarks]
    predictions = frames.predictions_frame(folder)
    samples = {
        each.name: recipe.evaluation.samples_of(each) for each in recipe.evaluation.benchmarks
    }
    scores = frames.scores_frame(folder, predictions, samples)
    suites = load_suites()
    tables = [
        (suites.predictions_suite(), predictions),
        (suites.scores_suite(policies or own, benchmarks), scores),
    ]
    if policies is None:  # else they may be behind an endpoint, which counts tokens in its own way
        answers = suites.answers_suite(recipe.evaluation.max_response_tokens)
        final = frames.final_frame(folder, scores, predictions, benchmarks, final=own[-1])
        drops = frames.drops_frame(scores, predictions, own)
        tables += [
            (answers, predictions[~predictions["failed"]]),
            (suites.final_suite(gate, frames.gains_seen(final)), final),
            (suites.drops_suite(gate), drops),
            *((suites.drop_suite(one), frames.rows_of_drop(drops, one)) for one in gate.drops),
        ]
    return _demand(
        validate("evaluation", gate, tables),
        where=str(folder),
        fix="look at scores.json and predictions.parquet, then correct the stages or "
        "gates.evaluation",
    )


def describe(check: GateCheck) -> str:
    """One failed check in a line, with the first rows that break it."""
    line = f"{check.name}: expected {check.expected}, observed {check.observed}"
    if not check.first_ids:
        return line
    num_more = (check.num_broken or 0) - len(check.first_ids)
    more = f" and {num_more} more" if num_more > 0 else ""
    return f"{line} ({', '.join(check.first_ids)}{more})"


def _demand(checked: Checked, *, where: str, fix: str) -> Checked:
    """What was seen, if it stops nothing."""
    if checked.record.stopping:
        raise GateError(checked, where=where, fix=fix)
    return checked
