"""Which column of a file fills which field of a record, and the values behind a dotted path."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from contracts.errors import DataError
from training.curation.lines import BrokenLine, Row
from training.curation.rows import RowBatch
from training.recipe.sources import SourceRecipe
from training.records import OPTIONAL_FIELDS, Problem

_FROM_RECIPE = ("source", "modality")
# A conversation that fills question and solution; choices that are appended to the question; what
# was thought before the solution.
CHAT, OPTIONS, THOUGHTS = "messages", "options", "thoughts"
KEEP = "keep"  # stands among the fields for the columns by which rows are taken
# Rules that look for the answer in the solution where there is no column for it.
FROM_SOLUTION = ("after_hashes", "last_boxed")
MAX_SHOWN_COLUMNS = 30

# Field -> its columns: one, or several for `options`.
Columns = dict[str, tuple[str, ...]]


class Missing:
    """What a path finds where a row has no such column.

    Attributes:
        found: The names that are there instead; None where there is no value to look into.
    """

    def __init__(self, found: Sequence[str] | None) -> None:
        self.found = found


def asked_columns(source: SourceRecipe) -> Columns:
    """The columns by field that a source reads where a file has them; of `KEEP`, if it has some.

    Raises:
        DataError: `columns` maps a field that there is not.
    """
    _check_fields(source)
    mapped = {
        field: (path,) if isinstance(path, str) else path
        for field, path in source.columns.items()
        if path is not False
    }
    fields = [*needed_fields(source), "answer", *OPTIONAL_FIELDS]
    defaults = {f: (f,) for f in fields if source.columns.get(f) is not False}
    if CHAT in mapped:  # its turns stand for these, unless the recipe maps them itself
        defaults = {f: path for f, path in defaults.items() if f not in ("question", "solution")}
    kept = {KEEP: tuple(source.keep)} if source.keep else {}
    return defaults | mapped | kept


def needed_fields(source: SourceRecipe) -> list[str]:
    """The fields without which a file is of no use to this source."""
    asked = "question" if CHAT not in source.columns or "question" in source.columns else CHAT
    seen = ["images"] if source.modality == "multimodal" else []
    thought = ["solution"] if THOUGHTS in source.columns and CHAT not in source.columns else []
    answered = [] if source.answer_rule in FROM_SOLUTION else ["answer"]
    return [asked, *answered, *seen, *thought]


def top_names(columns: Columns) -> set[str]:
    """The names of columns, dots and all, from which those paths can begin."""
    paths = [path for several in columns.values() for path in several]
    return {path[:end] for path in paths for end in _ends(path)}


def _ends(path: str) -> Iterator[int]:
    yield len(path)
    yield from (index for index, character in enumerate(path) if character == ".")


class SeenColumns:
    """Which of a source's columns its rows have had so far.

    Rows of JSON Lines have keys of their own, and CSV files a header each: only the end of a source
    tells that a column is missing. Tables all have the columns of the first.
    """

    def __init__(self, source: SourceRecipe) -> None:
        self._source = source
        self._paths = {
            field: {path: _Seen() for path in paths}
            for field, paths in asked_columns(source).items()
        }
        self._columns: list[str] = []
        self._has_rows = False

    def add(self, batch: RowBatch) -> None:
        """Looks at a batch.

        Raises:
            DataError: It is of a table that lacks a column, as `check` says.
        """
        rows = [row for row in batch.rows if not isinstance(row, BrokenLine)]
        if not rows:
            return
        is_first, self._has_rows = not self._has_rows, True
        self._columns = _few([*self._columns, *batch.columns])
        for path, seen in self._each_path():
            seen.add(rows, path, batch.columns)
        if is_first and self._source.kind in ("parquet", "arrow"):
            self._check(_Seen.is_no_name)

    def check(self) -> None:
        """Checks the columns once all rows were added; a source without rows passes.

        Raises:
            DataError: One is missing that is needed, or that the recipe maps; it names those found.
        """
        if self._has_rows:
            self._check(_Seen.is_missing)

    def _each_path(self) -> Iterator[tuple[str, "_Seen"]]:
        for paths in self._paths.values():
            yield from paths.items()

    def _check(self, lacks: Callable[["_Seen"], bool]) -> None:
        needed = {*needed_fields(self._source), *self._source.columns, KEEP}
        present = set[str]()
        for field, paths in self._paths.items():
            missing = [path for path, seen in paths.items() if lacks(seen)]
            if not missing:
                present.add(field)
            elif field in needed:
                seen = paths[missing[0]]
                found = seen.others if seen.has_other else self._columns
                raise _no_column(self._source, field, missing[0], found)
        if not {"answer", "solution", CHAT} & present:
            raise _no_column(self._source, "answer", "answer", self._columns)


@dataclasses.dataclass
class _Seen:
    """What rows had at one path.

    Attributes:
        has_name: Some batch had a column from which the path can begin.
        has_value: Some row had the path.
        has_other: Some row had something else instead.
        others: Names that were there instead.
    """

    has_name: bool = False
    has_value: bool = False
    has_other: bool = False
    others: list[str] = dataclasses.field(default_factory=list)

    def add(self, rows: Sequence[Row], path: str, columns: Sequence[str]) -> None:
        if self.has_value or not any(path[:end] in columns for end in _ends(path)):
            return
        self.has_name = True
        if path in columns:
            self.has_value = True
            return
        others = dict[str, None]()
        for row in rows:
            value = value_at(row, path)
            if not isinstance(value, Missing):
                self.has_value = True
                return
            if value.found is not None:
                self.has_other = True
                others.update(dict.fromkeys(value.found))
        self.others = _few([*self.others, *others])

    def is_no_name(self) -> bool:
        return not self.has_name

    def is_missing(self) -> bool:
        """Where there was nothing to look into, a row may have it yet."""
        return not self.has_name or (self.has_other and not self.has_value)


def row_columns(source: SourceRecipe, asked: Columns, row: Row) -> Columns:
    """The columns of one row's fields: those that the recipe maps, and those that it has."""
    return {
        field: paths
        for field, paths in asked.items()
        if field in source.columns or (field != KEEP and any(path in row for path in paths))
    }


def value_at(row: Row, path: str) -> object:
    """The value behind a path: a column's name, or names and list indices with dots between.

    Returns:
        The value; `Missing` where there is none.
    """
    if path in row:  # also a column whose name has dots
        return row[path]
    for end in _ends(path):
        if path[:end] in row:
            return _inside(row[path[:end]], path[end + 1 :].split("."))
    return Missing(list(row))


def _inside(value: object, parts: Sequence[str]) -> object:
    for part in parts:
        if isinstance(value, dict):
            if part not in value:
                return Missing([str(name) for name in value])
            value = value[part]
        elif isinstance(value, list):
            if not part.isdecimal() or int(part) >= len(value):
                return Missing([str(index) for index in range(len(value))])
            value = value[int(part)]
        else:
            return Missing(None if value is None else [])
    return value


def _few(names: Iterable[str]) -> list[str]:
    """As many as an error shows: rows may have any number of keys."""
    return sorted(set(names))[:MAX_SHOWN_COLUMNS]


def _check_fields(source: SourceRecipe) -> None:
    fields = {*Problem.__annotations__, CHAT, OPTIONS, THOUGHTS}
    unknown = sorted(set(source.columns) - fields)
    fixed = sorted(set(source.columns) & set(_FROM_RECIPE))
    if unknown or fixed:
        raise DataError(
            f"The source {source.name} maps fields that cannot be mapped: {unknown + fixed}.",
            where=f"recipe, sources.{source.name}.columns",
            rule=f"`columns` maps one of {sorted(fields - set(_FROM_RECIPE))} to a column",
            fix="rename the key; `source` and `modality` are set by the source itself",
        )


def _no_column(source: SourceRecipe, field: str, path: str, found: Sequence[str]) -> DataError:
    needed = needed_fields(source)
    shown = [name[:100] for name in _few(found)]
    if field == KEEP:
        return DataError(
            f"The source {source.name} has no column {path!r}, by which it takes its rows.",
            where=f"recipe, sources.{source.name}.keep; the file has {shown}",
            rule="every column that `keep` names is in the file",
            fix="correct the column's name, or take every row: `keep = {}`",
        )
    return DataError(
        f"The source {source.name} has no column {path!r} for the field `{field}`.",
        where=f"recipe, sources.{source.name}.columns; the file has {shown}",
        rule=f"a {source.modality} source needs {needed}, and every column it maps",
        fix=f'add `{field} = "<column>"` to the source\'s `columns`',
    )
