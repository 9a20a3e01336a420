"""Expectations of the user's own, as data: a table, a column, a kind and its bounds."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from contracts.run_record import Severity
from training.recipe.bounds import Fraction, Real, Strict

ColumnType = Literal["text", "number", "flag"]
Columns = Mapping[str, ColumnType]
Words = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\n\r\t/:]+$")]
Length = Annotated[int, Field(ge=0, lt=2**31)]
Value = StrictBool | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | StrictFloat | StrictStr


class _Expectation(Strict):
    """What every kind has; `severity` None is the gate's."""

    name: Words
    table: Words
    severity: Severity | None = None

    def fault(self, columns: Columns) -> str | None:
        """Why it cannot be asked of a table with these columns; None if it can."""
        return None


class _OfColumn(_Expectation):
    column: Words

    def fault(self, columns: Columns) -> str | None:
        """Why it cannot be asked of a table with these columns; None if it can."""
        found = columns.get(self.column)
        if found is None:
            return f"`column` is {self.column!r}, which is none of {sorted(columns)}"
        wanted = self.column_types()
        if found not in wanted:
            return f"`column` {self.column!r} holds a {found}, this kind needs a {wanted[0]}"
        return None

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return ("text", "number", "flag")


class _OfRows(_OfColumn):
    """Of each row; nulls are passed over."""

    share: Fraction = 1.0  # least share of the rows that has to meet it


class _Bounded(Strict):
    """At least one bound, and `min` not above `max`."""

    min: Real | None = None
    max: Real | None = None

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "_Bounded":
        if self.min is None and self.max is None:
            raise ValueError("set `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` ({self.min}) is above `max` ({self.max})")
        return self


class NotNullExpectation(_OfRows):
    """The column has a value."""

    kind: Literal["not_null"]


class UniqueExpectation(_OfRows):
    """No value of the column occurs twice."""

    kind: Literal["unique"]


class BetweenExpectation(_OfRows, _Bounded):
    """Numbers within bounds, which belong to the range."""

    kind: Literal["between"]

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return ("number",)


class LengthExpectation(_OfRows, _Bounded):
    """Texts whose number of characters is within bounds."""

    kind: Literal["length_between"]
    min: Length | None = None
    max: Length | None = None

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return ("text",)


class SetExpectation(_OfRows):
    """Values that are among those listed, or are not."""

    kind: Literal["in_set", "not_in_set"]
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _values_are_of_one_type(self) -> "SetExpectation":
        if len({_type_of(value) for value in self.values}) > 1:
            raise ValueError("`values` are all texts, all numbers, or all true and false")
        return self

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return (_type_of(self.values[0]),)


class PatternExpectation(_OfRows):
    """Texts in which a regular expression is found, or is not; `^` and `$` hold on to the ends."""

    kind: Literal["matches", "not_matches"]
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression of Python's: {error}") from error
        return pattern

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return ("text",)


class MeanExpectation(_OfColumn, _Bounded):
    """The mean of the column is within bounds."""

    kind: Literal["mean_between"]

    def column_types(self) -> tuple[ColumnType, ...]:
        """Of which a column may be."""
        return ("number",)


class DistinctExpectation(_OfColumn, _Bounded):
    """The number of different values of the column is within bounds."""

    kind: Literal["distinct_between"]
    min: Length | None = None
    max: Length | None = None


class RowsExpectation(_Expectation, _Bounded):
    """The number of rows is within bounds."""

    kind: Literal["rows_between"]
    min: Length | None = None
    max: Length | None = None


OwnExpectation = Annotated[
    NotNullExpectation
    | UniqueExpectation
    | BetweenExpectation
    | LengthExpectation
    | SetExpectation
    | PatternExpectation
    | MeanExpectation
    | DistinctExpectation
    | RowsExpectation,
    Field(discriminator="kind"),
]


def _type_of(value: Value) -> ColumnType:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"
