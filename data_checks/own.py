"""Expectations that a recipe holds as data, as Great Expectations' own.

Great Expectations is imported with this module, as with `data_checks.suites`.
"""

from collections.abc import Sequence

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from data_checks.raw import SEEN_BEFORE
from training.recipe.expectations import (
    BetweenExpectation,
    DistinctExpectation,
    LengthExpectation,
    MeanExpectation,
    NotNullExpectation,
    OwnExpectation,
    PatternExpectation,
    RowsExpectation,
    SetExpectation,
    UniqueExpectation,
)
from training.recipe.gates import RAW_ROWS

_SHOWN_VALUES = 10


def own_expectations(recipes: Sequence[OwnExpectation], table: str) -> list[Expectation]:
    """Those that the recipe asks of one table."""
    return [_own(one) for one in recipes if one.table == table]


def _own(one: OwnExpectation) -> Expectation:
    """Bounds belong to the range; nulls are passed over by all kinds but `not_null`."""
    meta = {"name": one.name, "expected": _words(one)}
    match one:
        case NotNullExpectation():
            return gxe.ExpectColumnValuesToNotBeNull(column=one.column, mostly=one.share, meta=meta)
        case UniqueExpectation() if one.table == RAW_ROWS:  # which come in parts
            return gxe.ExpectColumnValuesToBeInSet(
                column=f"{one.column}{SEEN_BEFORE}", value_set=[False], mostly=one.share, meta=meta
            )
        case UniqueExpectation():
            return gxe.ExpectColumnValuesToBeUnique(column=one.column, mostly=one.share, meta=meta)
        case BetweenExpectation():
            kind = gxe.ExpectColumnValuesToBeBetween
        case LengthExpectation():
            kind = gxe.ExpectColumnValueLengthsToBeBetween
        case SetExpectation():
            among = gxe.ExpectColumnValuesToBeInSet
            if one.kind == "not_in_set":
                among = gxe.ExpectColumnValuesToNotBeInSet
            return among(column=one.column, value_set=list(one.values), mostly=one.share, meta=meta)
        case PatternExpectation():
            found = gxe.ExpectColumnValuesToMatchRegex
            if one.kind == "not_matches":
                found = gxe.ExpectColumnValuesToNotMatchRegex
            return found(column=one.column, regex=one.pattern, mostly=one.share, meta=meta)
        case MeanExpectation():
            return gxe.ExpectColumnMeanToBeBetween(
                column=one.column, min_value=one.min, max_value=one.max, meta=meta
            )
        case DistinctExpectation():
            return gxe.ExpectColumnUniqueValueCountToBeBetween(
                column=one.column, min_value=one.min, max_value=one.max, meta=meta
            )
        case RowsExpectation():
            return gxe.ExpectTableRowCountToBeBetween(
                min_value=one.min, max_value=one.max, meta=meta
            )
    return kind(
        column=one.column, min_value=one.min, max_value=one.max, mostly=one.share, meta=meta
    )


def _words(one: OwnExpectation) -> str:
    """What is asked for, as a report says it."""
    words = [one.kind.replace("_", " ")]
    if not isinstance(one, RowsExpectation):
        words.insert(0, one.column)
    if isinstance(one, SetExpectation):
        shown = ", ".join(map(str, one.values[:_SHOWN_VALUES]))
        words.append(shown + (", ..." if len(one.values) > _SHOWN_VALUES else ""))
    elif isinstance(one, PatternExpectation):
        words.append(one.pattern)
    elif not isinstance(one, NotNullExpectation | UniqueExpectation):
        low, high = ("any" if bound is None else f"{bound:g}" for bound in (one.min, one.max))
        words.append(f"{low} and {high}")
    share = getattr(one, "share", 1.0)
    if share < 1.0:
        words.append(f"in {share:.0%} of the rows")
    return " ".join(words)
