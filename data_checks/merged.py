"""What Great Expectations says of two parts of a table, as of one.

Only of expectations about rows, one by one: their counts add up. What is about a whole column, such
as a mean or how many values differ, does not come from what is said of its parts.
"""

from typing import Any, TypeAlias

# An object of Great Expectations, which has no types that mypy could check.
Untyped: TypeAlias = Any

_COUNTS = ("element_count", "missing_count", "unexpected_count")
_LISTS = ("partial_unexpected_list", "partial_unexpected_index_list")


def merged(before: Untyped, now: Untyped, most: int) -> Untyped:
    """The results of one suite on two parts of a table, expectation by expectation.

    Args:
        before: Of the rows in front.
        now: Of those behind.
        most: How many broken values are kept.

    Raises:
        ValueError: An expectation is not about rows.
    """
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.validator.validator import calc_validation_statistics

    results = [
        _merged(one, other, most) for one, other in zip(before.results, now.results, strict=True)
    ]
    statistics = calc_validation_statistics(results)._asdict()
    return ExpectationSuiteValidationResult(
        results=results,
        success=statistics.pop("success"),
        suite_name=before.suite_name,
        statistics=statistics,
        meta=before.meta,
        batch_id=before.batch_id,
    )


def _merged(before: Untyped, now: Untyped, most: int) -> Untyped:
    from great_expectations.core import ExpectationValidationResult

    for one in (before, now):
        if "element_count" not in one.result:  # it could not be computed: that is told
            return one if _has_failed(one) else _refuse(one)
    counts = {
        name: before.result[name] + now.result[name] for name in _COUNTS if name in before.result
    }
    asked = counts["element_count"] - counts.get("missing_count", 0)
    broken, config = counts["unexpected_count"], before.expectation_config
    mostly = config.kwargs.get("mostly", 1.0)
    result = {**counts, "unexpected_percent": 100.0 * broken / asked if asked else None}
    if "missing_count" in counts:
        rows = counts["element_count"]
        result |= {
            "missing_percent": 100.0 * counts["missing_count"] / rows if rows else None,
            "unexpected_percent_total": 100.0 * broken / rows if rows else None,
            "unexpected_percent_nonmissing": result["unexpected_percent"],
        }
    for name in _LISTS:
        lists = [one.result.get(name) or [] for one in (before, now)]
        result[name] = [value for values in lists for value in values][:most]
    return ExpectationValidationResult(
        success=asked == 0 or (asked - broken) / asked >= mostly,
        expectation_config=config,
        result=result,
        exception_info=before.exception_info,
        meta=before.meta,
    )


def _has_failed(result: Untyped) -> bool:
    return not result.success and not result.result


def _refuse(result: Untyped) -> Untyped:
    kind = result.expectation_config.type
    raise ValueError(f"{kind} is not about rows: it cannot be asked of a table in parts")
