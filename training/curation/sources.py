"""Sources of problems: generated pocket problems, and Parquet files mapped to the record schema.

Both come back as `Problem` rows. Whatever can be said about a whole file (a missing column, an
unreadable path) is a DataError; whatever concerns one row is left for the verifiability filter,
so that no row is lost without a reason.
"""

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from contracts.errors import DataError
from training.pocket.problems import generate
from training.recipe.recipe import SourceRecipe
from training.records import Problem, read_problems, write_problems
from training.tables import batches, cells, images_of, parquet_files, text_of
from training.texts import MAX_TEXT_CHARACTERS

# A record's field -> what a file without that column gets. `source` and `modality` come from the
# recipe; `question` and `answer` (and `images`, for multimodal problems) must be in the file.
_OPTIONAL = ("id", "family", "template", "level", "solution", "reading", "pass_rate")
_FROM_RECIPE = ("source", "modality")
MAX_SHOWN_COLUMNS = 30
LONG_VALUE = 1024  # characters; a dictionary's entry costs more than it saves for shorter ones


def load_source(source: SourceRecipe, folder: Path, seed: int) -> list[Problem]:
    """Reads every row of one source.

    Args:
        source: The recipe's source.
        folder: Its Parquet files, at whatever depth, in the order of their names; nothing that
            generated problems need.
        seed: Seeds the generated problems; Parquet files do not depend on it.

    Returns:
        The source's rows in their order, `source.num_problems` at most, each with `source.name`
        as its source. A Parquet row without a value holds None there.

    Raises:
        DataError: A file is unreadable, or a column is missing or misnamed.
    """
    if source.kind == "pocket":
        return _pocket_problems(source, seed)
    return _parquet_problems(source, folder)


def _pocket_problems(source: SourceRecipe, seed: int) -> list[Problem]:
    """Generates problems and reads them back from Parquet, the way real data comes."""
    assert source.num_problems is not None  # the recipe's own rule for pocket sources
    problems = generate(source.modality, "train", source.num_problems, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{source.name}.parquet"
        write_problems(problems, path)
        rows = cast(list[Problem], read_problems(path).to_list())
    return [{**row, "source": source.name} for row in rows]


def _parquet_problems(source: SourceRecipe, folder: Path) -> list[Problem]:
    """The rows, read in batches: what a small file unfolds to is never in memory as a whole."""
    problems, shared = list[Problem](), dict[str | bytes, Any]()
    wanted = sys.maxsize if source.num_problems is None else source.num_problems
    where = f"recipe, sources.{source.name}.path = {source.path!r}"
    for batch in batches(parquet_files(folder), name=f"The source {source.name}", where=where):
        columns = _columns(source, batch.column_names)
        table = batch.slice(0, wanted - len(problems))
        values = {field: cells(table.column(column)) for field, column in columns.items()}
        values["pass_rate"] = _pass_rates(source, values.get("pass_rate", [None] * len(table)))
        for row in zip(*values.values(), strict=True):
            made = dict(zip(values, row, strict=True))
            problems.append(_shared(_problem(made, source, len(problems)), shared))
        if len(problems) == wanted:
            break
    return problems


def _shared(problem: Problem, known: dict[str | bytes, Any]) -> Problem:
    """The problem, with long values that other rows have, too, held once.

    Of a text that is too long, one character more than the limit is kept: the filter that rejects
    it needs no more.
    """

    def held(value: object) -> object:
        if not isinstance(value, str) or len(value) < LONG_VALUE:
            return value
        return known.setdefault(cut := value[: MAX_TEXT_CHARACTERS + 1], cut)

    images = [
        {**image, "bytes": known.setdefault(image["bytes"], image["bytes"])}
        for image in problem["images"]
    ]
    shared = {field: held(value) for field, value in problem.items()} | {"images": images}
    return cast(Problem, shared)


def _columns(source: SourceRecipe, names: Sequence[str]) -> dict[str, str]:
    """Which column of the file fills which field of the record."""
    fields = set(Problem.__annotations__)
    where = f"recipe, sources.{source.name}.columns"
    unknown = sorted(set(source.columns) - fields)
    fixed = sorted(set(source.columns) & set(_FROM_RECIPE))
    if unknown or fixed:
        raise DataError(
            f"The source {source.name} maps fields that cannot be mapped: {unknown + fixed}.",
            where=where,
            rule=f"`columns` maps one of {sorted(fields - set(_FROM_RECIPE))} to a column",
            fix="rename the key; `source` and `modality` are set by the source itself",
        )
    needed = ["question", "answer", *(["images"] if source.modality == "multimodal" else [])]
    columns: dict[str, str] = {}
    for field in [*needed, *_OPTIONAL, *source.columns]:
        column = source.columns.get(field, field)
        if column in names:
            columns[field] = column
        elif field in needed or field in source.columns:
            raise DataError(
                f"The source {source.name} has no column {column!r} for the field `{field}`.",
                where=f"{where}; the file has {sorted(names)[:MAX_SHOWN_COLUMNS]}",
                rule=f"a {source.modality} source needs {needed}, and every column it maps",
                fix=f'add `{field} = "<column>"` to the source\'s `columns`',
            )
    return columns


def _pass_rates(source: SourceRecipe, rates: list[Any]) -> list[float | None]:
    return [None if rate is None else _pass_rate(source, rate) for rate in rates]


def _pass_rate(source: SourceRecipe, rate: object) -> float:
    try:
        share = float(str(text_of(rate)))
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise DataError(
            f"The source {source.name} has pass rates such as {str(rate)[:100]!r}.",
            where=f"recipe, sources.{source.name}.columns.pass_rate",
            rule="a pass rate is a share from 0 to 1",
            fix="convert the column, or leave it out to have the base model's rate measured",
        )
    return share


def _problem(values: dict[str, Any], source: SourceRecipe, index: int) -> Problem:
    """One row in the record schema; a value that is missing or unreadable becomes None."""
    question = text_of(values.get("question")) or ""
    return {
        "id": text_of(values.get("id")) or f"{source.name}/{index:09d}",
        "source": source.name,
        "modality": source.modality,
        "family": text_of(values.get("family")) or source.name,
        "template": text_of(values.get("template")) or source.name,
        "level": _level(values.get("level")),
        # Many sets write `<image>` where the images stand; here they always stand first.
        "question": question.replace("<image>", "").strip(),
        "images": images_of(values.get("images")),
        "answer": text_of(values.get("answer")) or "",
        "solution": text_of(values.get("solution")),
        "reading": text_of(values.get("reading")),
        "pass_rate": values["pass_rate"],
    }


def _level(value: object) -> int | None:
    """A level from 1 to 10; any other grading is left to the pass rate."""
    text = text_of(value) or ""
    return int(text) if text in map(str, range(1, 11)) else None
