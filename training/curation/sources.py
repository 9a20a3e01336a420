"""Sources of problems: generated pocket problems, and files mapped to the record schema.

Whatever can be said about a whole file (a missing column, an unreadable path) is a DataError.
Whatever concerns one row is a reason to reject it, here or in the verifiability filter, so that no
row is lost without one.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, cast

from training.curation.columns import Columns, SeenColumns, asked_columns, row_columns, top_names
from training.curation.lines import BrokenLine, Row
from training.curation.mapping import Mapped, line_problem, map_row
from training.curation.planted import plant
from training.curation.rows import read_rows
from training.curation.step import Reject, StepResult
from training.pocket.problems import generate
from training.recipe import curation as steps
from training.recipe.sources import SourceRecipe
from training.records import Problem, read_problems, write_problems
from training.tables import BATCH_BYTES
from training.texts import MAX_TEXT_CHARACTERS

STEP = steps.SOURCES
LONG_VALUE = 1024  # characters; a dictionary's entry costs more than it saves for shorter ones
ID_BYTES = 8  # of an id's digest; of two ids with one digest, one gets its place without need


@dataclass(frozen=True)
class SourceRows(StepResult):
    """The rows of a source, or of a part of it: records, and rejects with their reasons.

    Attributes:
        num_system_turns: Turns of conversations that were left out.
        num_shared_ids: Rows to which the source gives the id of an earlier one.
    """

    num_system_turns: int = 0
    num_shared_ids: int = 0


def load_source(source: SourceRecipe, folder: Path, seed: int) -> SourceRows:
    """Reads every row of one source.

    Args:
        source: The recipe's source.
        folder: Its files, at whatever depth, in the order of their names; nothing that generated
            problems need.
        seed: Seeds the generated problems; files do not depend on it.

    Returns:
        The source's rows in their order, `source.num_problems` at most, each with `source.name`
        as its source.

    Raises:
        DataError: A file is unreadable, or a column is missing or misnamed.
    """
    kept, rejects, num_system_turns, num_shared_ids = list[Problem](), list[Reject](), 0, 0
    known = dict[str | bytes, Any]()
    for batch in source_batches(source, folder, seed):
        kept += [_shared(problem, known) for problem in batch.kept]
        rejects += [replace(one, problem=_shared(one.problem, known)) for one in batch.rejects]
        num_system_turns += batch.num_system_turns
        num_shared_ids += batch.num_shared_ids
    return SourceRows(kept, rejects, num_system_turns, num_shared_ids)


def source_batches(source: SourceRecipe, folder: Path, seed: int) -> Iterator[SourceRows]:
    """As `load_source`, a batch at a time: what a small file unfolds to is never in memory whole.

    Raises:
        DataError: See `load_source`.
    """
    if source.kind == "pocket":
        yield SourceRows(_pocket_problems(source, seed), [])
        return
    asked, seen, known = asked_columns(source), SeenColumns(source), set[bytes]()
    num_rows, wanted = 0, source.num_problems or sys.maxsize
    for batch in read_rows(source, folder, top_names(asked)):
        seen.add(batch)
        rows = list(islice(batch.rows, wanted - num_rows))
        mapped, num_bytes = list[Mapped](), 0
        for number, row in enumerate(rows, start=num_rows):
            one = _told_apart(_mapped(row, asked, source, number, folder), number, known)
            mapped.append(one)
            num_bytes += sum(len(image["bytes"]) for image in one.problem["images"])
            if num_bytes >= BATCH_BYTES:  # rows that name files beside them are small themselves
                yield _divided(mapped)
                mapped, num_bytes = [], 0
        num_rows += len(rows)
        yield _divided(mapped)
        if num_rows == wanted:
            break
    seen.check()


def _pocket_problems(source: SourceRecipe, seed: int) -> list[Problem]:
    """Generates problems and reads them back from Parquet, the way real data comes."""
    assert source.num_problems is not None  # the recipe's own rule for pocket sources
    problems = generate(source.modality, "train", source.num_problems, seed)
    if source.num_planted:
        problems += plant(problems, source.modality, source.num_planted)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{source.name}.parquet"
        write_problems(problems, path)
        rows = cast(list[Problem], read_problems(path).to_list())
    return [{**row, "source": source.name} for row in rows]


def _mapped(
    row: Row | BrokenLine, asked: Columns, source: SourceRecipe, number: int, folder: Path
) -> Mapped:
    if isinstance(row, BrokenLine):
        return Mapped(line_problem(row.text, row.place, source), row.reason)
    return map_row(row, row_columns(source, asked, row), source, number, folder)


def _told_apart(mapped: Mapped, number: int, known: set[bytes]) -> Mapped:
    """The row with an id of its own: of rows that share one, all but the first get their place.

    Several questions of one picture may share its id: none is lost for that. Equal files give
    equal ids, so that shards are found again.
    """
    given = own = mapped.problem["id"]
    while (digest := blake2b(own.encode(), digest_size=ID_BYTES).digest()) in known:
        own += f"#{number:09d}"
    known.add(digest)
    if own == given:
        return mapped
    return replace(mapped, problem={**mapped.problem, "id": own}, shares_id=True)


def _divided(mapped: list[Mapped]) -> SourceRows:
    return SourceRows(
        kept=[one.problem for one in mapped if one.refused is None],
        rejects=[
            Reject(one.problem, STEP, one.refused) for one in mapped if one.refused is not None
        ],
        num_system_turns=sum(one.num_system_turns for one in mapped),
        num_shared_ids=sum(one.shares_id for one in mapped),
    )


def cut(problem: Problem) -> Problem:
    """The problem; of a text that is too long, one character more than the limit.

    The filter that rejects it needs no more.
    """
    fields = {
        field: value[: MAX_TEXT_CHARACTERS + 1] if isinstance(value, str) else value
        for field, value in problem.items()
    }
    return cast(Problem, fields)


def _shared(problem: Problem, known: dict[str | bytes, Any]) -> Problem:
    """The problem as `cut`, with long values that other rows have, too, held once."""

    def held(value: object) -> object:
        if not isinstance(value, str) or len(value) < LONG_VALUE:
            return value
        return known.setdefault(value, value)

    images = [
        {**image, "bytes": known.setdefault(image["bytes"], image["bytes"])}
        for image in problem["images"]
    ]
    shared = {field: held(value) for field, value in cut(problem).items()} | {"images": images}
    return cast(Problem, shared)
