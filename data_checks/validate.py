"""Running suites over tables: what was seen of each expectation, and the rows that break it."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contracts.run_record import GateCheck, GateRecord
from contracts.texts import one_line
from data_checks.merged import Untyped, merged
from training.recipe.gates import GateRecipe

MAX_ROWS = 20  # of one expectation, that are named and shown
MAX_WHOLE_ROWS = 20_000  # of a table that is not parted by columns
MAX_CHARACTERS = 200  # of a cell


@dataclass(frozen=True)
class Checked:
    """What a gate saw.

    Attributes:
        record: Every check, for the report.
        rows: The first rows that break each failed check, their cells as texts; `expectation` says
            which.
        docs: Great Expectations' own page of it, in HTML.
    """

    record: GateRecord
    rows: tuple[dict[str, str], ...]
    docs: str


def load_suites() -> Untyped:
    """Imports Great Expectations, which takes seconds and would otherwise send usage data."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    from data_checks import suites

    return suites


def validate(name: str, gate: GateRecipe, tables: Iterable[tuple[Any, pd.DataFrame]]) -> Checked:
    """Asks each suite, and what the recipe adds to it, of its table.

    Args:
        name: The gate's, for the record.
        gate: The severities, and the user's own expectations.
        tables: Suites of `data_checks.suites`, each with its table, which has a column `id`. A
            suite that comes again has a further part of its table; memory holds one part.
    """
    from data_checks.docs import docs_page
    from data_checks.own import own_expectations

    answers = dict[str, _Answer]()
    for suite, frame in tables:
        if suite.name not in answers:
            # `add_expectation` would pass over one that differs from another in its name alone.
            suite.expectations.extend(own_expectations(gate.expectations, suite.name))
        if suite.expectations:
            part = frame.reset_index(drop=True)
            # A source keeps what it was given: one for all parts would hold the whole table.
            result = _validated(_open_source(), suite, part)
            answers.setdefault(suite.name, _Answer(suite.name)).add(result, part)
    found = [pair for answer in answers.values() for pair in answer.checks(gate)]
    record = GateRecord(
        name=name,
        severity=gate.severity,
        passed=all(check.passed for check, _ in found),
        checks=tuple(check for check, _ in found),
    )
    rows = [{"expectation": check.name, **row} for check, rows in found for row in rows]
    return Checked(record, tuple(rows), docs_page(name, [one.result for one in answers.values()]))


class _Answer:
    """What Great Expectations says of a suite and its table, of which parts may come one by one.

    Args:
        suite: The suite's name.

    Attributes:
        result: Of the parts so far.
    """

    def __init__(self, suite: str) -> None:
        self.result: Untyped = None
        self._suite = suite
        # Expectation -> the first rows that break it: their ids, and they themselves as texts.
        self._broken = defaultdict[str, list[tuple[object, dict[str, str]]]](list)

    def add(self, result: Untyped, frame: pd.DataFrame) -> None:
        """Takes what is said of a further part."""
        for one in result.results:
            _make_plain(one.result)
            broken = self._broken[one.expectation_config.meta["name"]]
            rows = frame.iloc[_places(one)[: MAX_ROWS - len(broken)]]
            broken += zip(rows["id"], _shown(rows), strict=True)
        self.result = result if self.result is None else merged(self.result, result, MAX_ROWS)

    def checks(self, gate: GateRecipe) -> Iterator[tuple[GateCheck, list[dict[str, str]]]]:
        """Each expectation as a check of the report, with the first rows that break it."""
        for one in self.result.results:
            broken = [] if one.success else self._broken[one.expectation_config.meta["name"]]
            yield _check(self._suite, one, gate, [id_ for id_, _ in broken]), [r for _, r in broken]


def _open_source() -> Untyped:
    """A data source of a context that lives in memory."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("tables")


def _validated(source: Untyped, suite: Untyped, frame: pd.DataFrame) -> Untyped:
    """Asks each expectation of its own columns alone.

    The library copies the table that it is given several times for each expectation, whatever the
    expectation is about: of a million rows with their texts, that would be gigabytes and minutes.
    Of a small table, it is starting anew for each column that would take long.

    Args:
        source: A data source.
        suite: What is asked.
        frame: Its rows are known by their places: ids may be null, or occur twice.
    """
    by_columns = defaultdict[tuple[str, ...], list[Untyped]](list)
    for expectation in suite.expectations:
        is_small = len(frame) <= MAX_WHOLE_ROWS
        columns = tuple(map(str, frame)) if is_small else _columns(expectation)
        by_columns[columns].append(expectation)
    parts = [
        _validated_part(
            *(source, f"{suite.name} {place}", suite.name, expectations),
            frame[[name for name in columns if name in frame]],
        )
        for place, (columns, expectations) in enumerate(by_columns.items())
    ]
    return _joined(parts, [expectation.meta["name"] for expectation in suite.expectations])


def _columns(expectation: Untyped) -> tuple[str, ...]:
    """Names of the columns that an expectation is about; of one about the whole table, any one."""
    found = (getattr(expectation, name, None) for name in ("column", "column_A", "column_B"))
    return tuple(name for name in found if name is not None) or ("id",)


def _validated_part(
    source: Untyped,
    name: str,
    suite: str,
    expectations: Sequence[Untyped],
    frame: pd.DataFrame,
) -> Untyped:
    from great_expectations import ExpectationSuite
    from great_expectations.validator.v1_validator import Validator

    # As a batch's own `validate` does it, which would digest the rows a second time.
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
    validator = Validator(
        batch,
        batch_parameters={"dataframe": frame},
        result_format={
            "result_format": "SUMMARY",  # the first broken rows, not all of a million
            "partial_unexpected_count": MAX_ROWS,
            "return_unexpected_index_query": False,
        },
    )
    return validator.validate_expectation_suite(ExpectationSuite(suite, expectations=expectations))


def _joined(parts: Sequence[Untyped], names: Sequence[str]) -> Untyped:
    """The results of a suite's parts as one, its expectations in their order."""
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.validator.validator import calc_validation_statistics

    of_name = {
        result.expectation_config.meta["name"]: result for part in parts for result in part.results
    }
    results = [of_name[name] for name in names]
    statistics = calc_validation_statistics(results)._asdict()
    return ExpectationSuiteValidationResult(
        results=results,
        success=statistics.pop("success"),
        suite_name=parts[0].suite_name,
        statistics=statistics,
        meta=parts[0].meta,
        batch_id=parts[0].batch_id,
    )


def _make_plain(result: dict[str, Any]) -> None:
    """Turns a number of numpy's into Python's: the library's own page cannot write it."""
    if isinstance(result.get("observed_value"), np.generic):
        result["observed_value"] = result["observed_value"].item()


def _places(validated: Untyped) -> list[int]:
    """Where the first rows stand that break an expectation, though it may be met with others."""
    found = validated.result.get("partial_unexpected_index_list") or []
    return [int(one) for one in found[:MAX_ROWS]]


def _fault(info: dict[str, Any]) -> str | None:
    """Why an expectation could not be computed; Great Expectations says it at one of two depths."""
    for one in (info, *(value for value in info.values() if isinstance(value, dict))):
        if one.get("raised_exception"):
            return str(one["exception_message"])
    return None


def _check(suite: str, validated: Untyped, gate: GateRecipe, ids: Sequence[Any]) -> GateCheck:
    """One validated expectation as a check of the report."""
    meta, result = validated.expectation_config.meta, validated.result
    num_broken = result.get("unexpected_count")
    if fault := _fault(validated.exception_info):
        observed = f"not checked: {fault}"
    elif "observed" in meta:
        observed = meta["observed"]
    elif "observed_value" in result:
        observed = result["observed_value"]
    else:
        observed = f"{num_broken} of {result['element_count']} rows break it"
    return GateCheck(
        name=f"{suite}: {meta['name']}",
        observed=observed,
        expected=meta["expected"],
        passed=bool(validated.success),
        severity=gate.severity_of(meta["name"]),
        num_broken=None if num_broken is None else int(num_broken),
        first_ids=tuple("(no id)" if pd.isna(one) else one_line(str(one)) for one in ids),
    )


def _shown(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Rows as texts that a page can hold."""
    return [
        {str(column): _cell(value) for column, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _cell(value: object) -> str:
    text = one_line(str(value))
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."
