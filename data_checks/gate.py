"""The gates of a run: Great Expectations between curation and training, and after evaluation.

A gate reads an artifact, says what it saw of every expectation, and raises when one is broken and
the recipe's severity is `error`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from contracts.errors import RevisualError
from contracts.run_record import GateCheck, GateRecord
from data_checks import frames
from training.recipe.recipe import Recipe

_MAX_NAMED_ROWS = 20  # of one expectation, in the error's message
Broken = dict[str, list[str]]  # name of a check -> ids of the rows that break it


class GateError(RevisualError):
    """Data or scores broke an expectation of a gate whose severity is `error`.

    Attributes:
        record: What the gate saw, for the report.
        broken_rows: Ids of the rows that break each failed check; empty for a check on a whole
            set.
    """

    def __init__(self, record: GateRecord, broken_rows: Broken, *, where: str, fix: str) -> None:
        failed = [check for check in record.checks if not check.passed]
        super().__init__(
            f"The gate {record.name!r} found {len(failed)} broken expectation(s).",
            where=where,
            rule="\n         ".join(_describe(check, broken_rows) for check in failed),
            fix=fix,
        )
        self.record = record
        self.broken_rows = broken_rows

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.record, self.broken_rows, self.where, self.fix)


def _rebuild(record: GateRecord, broken_rows: Broken, where: str, fix: str) -> GateError:
    return GateError(record, broken_rows, where=where, fix=fix)


def check_curation(recipe: Recipe, folder: Path) -> GateRecord:
    """Checks the curated sets, between curation and training.

    Args:
        recipe: The run's recipe; `gates.curation` holds what it demands.
        folder: The artifact of `training.curation.curate.curate`.

    Returns:
        Every check with what was seen.

    Raises:
        GateError: A check failed and the severity is `error`.
        DataError: A file of the artifact is missing or has other columns.
    """
    gate, sets = recipe.gates.curation, recipe.curation.sets
    names = [each.name for each in sets]
    every = frames.curated_frame(folder, names)
    keys = frames.benchmark_keys(folder)
    accounting = frames.accounting_frame(folder, names)
    suites = _load_suites()
    sources = [source.name for source in recipe.sources]
    checked = [
        (suites.set_suite(each, gate, sources, keys), every[every["set"] == each.name])
        for each in sets
    ]
    checked.append((suites.disjoint_suite(), every))
    checked.append((suites.accounting_suite(), accounting))
    return _decide(
        "curation",
        gate.severity,
        checked,
        where=str(folder),
        fix="look at summary.json and rejects.parquet, then correct the sources, "
        "curation.sets or gates.curation",
    )


def check_evaluation(
    recipe: Recipe, folder: Path, policies: Sequence[str] | None = None
) -> GateRecord:
    """Checks the scores and predictions, after the evaluation.

    Gains are those of the final checkpoint over the base, on every benchmark.

    Args:
        recipe: The run's recipe; `gates.evaluation` holds what it demands.
        folder: The artifact of `training.evaluation.run.evaluate`.
        policies: Who was evaluated, if it is not the recipe's own stages: no gain is asked for.

    Returns:
        Every check with what was seen.

    Raises:
        GateError: A check failed and the severity is `error`.
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
    suites = _load_suites()
    checked = [
        (suites.predictions_suite(recipe.evaluation.max_response_tokens), predictions),
        (suites.scores_suite(policies or own, benchmarks), scores),
    ]
    if policies is None:
        final = frames.final_frame(scores, predictions, benchmarks, final=own[-1])
        checked.append((suites.final_suite(gate), final))
    return _decide(
        "evaluation",
        gate.severity,
        checked,
        where=str(folder),
        fix="look at scores.json and predictions.parquet, then correct the stages or "
        "gates.evaluation",
    )


# Great Expectations carries no types that mypy can read: its objects are Any below.
def _load_suites() -> Any:  # noqa: ANN401  a module
    """Imports Great Expectations, which takes seconds and would otherwise send usage data."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    from data_checks import suites

    return suites


def _decide(
    name: str,
    severity: Literal["error", "warning"],
    checked: list[tuple[Any, pd.DataFrame]],
    *,
    where: str,
    fix: str,
) -> GateRecord:
    """Validates each table against its suite; raises if a check failed and must not."""
    checks: list[GateCheck] = []
    broken: Broken = {}
    source = _open_source()
    for suite, frame in checked:
        for check, rows in _validate(source, suite, frame):
            checks.append(check)
            if not check.passed:
                broken[check.name] = rows
    record = GateRecord(name=name, severity=severity, passed=not broken, checks=tuple(checks))
    if broken and severity == "error":
        raise GateError(record, broken, where=where, fix=fix)
    return record


def _open_source() -> Any:  # noqa: ANN401
    """A data source of a context that lives in memory."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("tables")


def _validate(source: Any, suite: Any, frame: pd.DataFrame) -> list[tuple[GateCheck, list[str]]]:  # noqa: ANN401
    """Runs one suite over one table."""
    asset = source.add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    result = batch.validate(
        suite,
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["id"],
            "return_unexpected_index_query": False,
        },
    )
    return [_check(suite.name, each) for each in result.results]


def _check(suite: str, validated: Any) -> tuple[GateCheck, list[str]]:  # noqa: ANN401
    """One validated expectation as a check of the report, and the ids of the rows that break it."""
    meta, result = validated.expectation_config.meta, validated.result
    broken = result.get("unexpected_index_list") or []
    rows = ["(no id)" if pd.isna(row["id"]) else str(row["id"]) for row in broken]
    if validated.exception_info.get("raised_exception"):
        observed = f"not checked: {validated.exception_info['exception_message']}"
    elif "observed_value" in result:
        observed = result["observed_value"]
    else:
        observed = f"{result['unexpected_count']} of {result['element_count']} rows break it"
    check = GateCheck(
        name=f"{suite}: {meta['name']}",
        observed=observed,
        expected=meta["expected"],
        passed=bool(validated.success),
    )
    return check, rows


def _describe(check: GateCheck, broken_rows: Broken) -> str:
    """One failed check in a line, with the first rows that break it."""
    ids = broken_rows[check.name]
    line = f"{check.name}: expected {check.expected}, observed {check.observed}"
    if not ids:
        return line
    more = f" and {len(ids) - _MAX_NAMED_ROWS} more" if len(ids) > _MAX_NAMED_ROWS else ""
    return f"{line} ({', '.join(ids[:_MAX_NAMED_ROWS])}{more})"
