"""Which column of a file fills which field of a record, and the values behind a dotted path."""

from collections.abc import Iterator, Sequence

from contracts.errors import DataError
from training.curation.lines import BrokenLine, Row
from training.curation.rows import RowBatch
from training.recipe.sources import SourceRecipe
from training.records import Problem

# A record's field -> what a file without that column gets. `source` and `modality` come from the
# recipe; `question` and `answer` (and `images`, for multimodal problems) must be in the file.
_OPTIONAL = ("id", "family", "template", "level", "solution", "reading", "pass_rate")
_FROM_RECIPE = ("source", "modality")
# A conversation that fills question and solution; choices that are appended to the question.
CHAT, OPTIONS = "messages", "options"
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
    """The columns by field that a source reads where a file has them.

    Raises:
        DataError: `columns` maps a field that there is not.
    """
    _check_fields(source)
    mapped = {
        field: (path,) if isinstance(path, str) else path for field, path in source.columns.items()
    }
    defaults = {field: (field,) for field in [*needed_fields(source), "answer", *_OPTIONAL]}
    if CHAT in mapped:  # its turns stand for these, unless the recipe maps them itself
        defaults = {f: path for f, path in defaults.items() if f not in ("question", "solution")}
    return defaults | mapped


def needed_fields(source: SourceRecipe) -> list[str]:
    """The fields without which a file is of no use to this source."""
    asked = "question" if CHAT not in source.columns or "question" in source.columns else CHAT
    seen = ["images"] if source.modality == "multimodal" else []
    return [asked, *([] if source.answer_rule in FROM_SOLUTION else ["answer"]), *seen]


def top_names(columns: Columns) -> set[str]:
    """The names of columns, dots and all, from which those paths can begin."""
    paths = [path for several in columns.values() for path in several]
    return {path[:end] for path in paths for end in _ends(path)}


def _ends(path: str) -> Iterator[int]:
    yield len(path)
    yield from (index for index, character in enumerate(path) if character == ".")


def present_columns(source: SourceRecipe, batch: RowBatch) -> Columns:
    """Those of the columns asked for that a file has, by its first rows.

    Raises:
        DataError: One is missing that is needed, or that the recipe maps; it names those found.
    """
    rows = [row for row in batch.rows if not isinstance(row, BrokenLine)]
    needed = {*needed_fields(source), *source.columns}
    present: Columns = {}
    for field, paths in asked_columns(source).items():
        missing = [
            (path, found)
            for path in paths
            if (found := _found_instead(rows, path, batch.columns)) is not None
        ]
        if not missing:
            present[field] = paths
        elif field in needed:
            raise _no_column(source, field, *missing[0])
    if not {"answer", "solution", CHAT} & present.keys():
        raise _no_column(source, "answer", "answer", batch.columns)
    return present


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


def _found_instead(rows: Sequence[Row], path: str, columns: Sequence[str]) -> list[str] | None:
    """The names that are there instead, if no row has the path; None where one may have it."""
    if path in columns:
        return None
    if not any(path[:end] in columns for end in _ends(path)):
        return list(columns)
    found, is_other = dict[str, None](), False
    for row in rows:
        value = value_at(row, path)
        if not isinstance(value, Missing):
            return None
        if value.found is not None:
            is_other = True
            found.update(dict.fromkeys(value.found))
    return list(found) if is_other else None


def _check_fields(source: SourceRecipe) -> None:
    fields = {*Problem.__annotations__, CHAT, OPTIONS}
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
    shown = [name[:100] for name in sorted(found)[:MAX_SHOWN_COLUMNS]]
    return DataError(
        f"The source {source.name} has no column {path!r} for the field `{field}`.",
        where=f"recipe, sources.{source.name}.columns; the file has {shown}",
        rule=f"a {source.modality} source needs {needed}, and every column it maps",
        fix=f'add `{field} = "<column>"` to the source\'s `columns`',
    )
