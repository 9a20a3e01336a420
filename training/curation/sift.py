"""The steps that sample nothing, shard by shard: from sources to the rows that may be asked.

    rows       each shard by itself: rules, prompt length, benchmarks' questions, digests
    steps      in the recipe's order, over all shards: which rows each of them drops; equal ones
               by digests, and by their answers where these differ; near ones in shards of their
               own, of rows that share a wording's key, and of a key of many rows bands of MinHash
    deal       every row goes into a file of usable rows or into one of rejects

Memory holds one shard for each process, and some hundred bytes of every row.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.errors import DataError
from training.curation import fates, progress, sources, traces
from training.curation.equal_shards import drop_equal
from training.curation.fates import Fates
from training.curation.near_shards import drop_near, help_with_near
from training.curation.row_steps import FOUND, RowSteps
from training.curation.shard_work import ShardWork
from training.curation.shards import (
    PROBLEM_COLUMNS,
    REJECT_COLUMNS,
    Rows,
    read_table,
    shard_path,
    write_shard,
    write_shards,
)
from training.curation.sources import SourceRows, source_batches
from training.recipe import curation as shipped
from training.recipe.curation import NOT_KEPT, DecontaminationRecipe
from training.recipe.sources import SourceRecipe
from training.runtime import device
from training.runtime.log import say


@dataclass
class SourceCounts:
    """What was read of the sources.

    Attributes:
        rows: By the name of the source.
        refused: Those that are no records, by reason.
        conversions: How many traces each rule changed.
        system_turns: Turns of conversations that were left out, by the name of the source.
        shared_ids: Rows to which the source gives the id of an earlier one, by its name.
    """

    rows: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)
    system_turns: Counter[str] = field(default_factory=Counter)
    shared_ids: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Sifted:
    """Every row that came in, in one file or another.

    Attributes:
        num_rows: How many came in.
        num_usable: How many of them may be asked.
        usable: Files of the rows that may be asked, in order.
        rejects: Files of the others, step by step, and in order within a step.
        variants: Number variants of each benchmark's questions among the rows.
    """

    num_rows: int
    num_usable: int
    usable: list[Path]
    rejects: list[Path]
    variants: dict[str, int]


def source_rows(
    recipes: Sequence[SourceRecipe],
    inputs: Mapping[str, Path],
    seed: int,
    counts: SourceCounts,
    on_batch: Callable[[], None] = lambda: None,
) -> Iterator[Iterator[Rows]]:
    """The rows of each source, their traces in one format, in batches.

    Args:
        recipes: The sources.
        inputs: The folder of each, by the name that the stage knows it by.
        seed: Seeds the generated problems.
        counts: Receives what is counted meanwhile.
        on_batch: Called before every batch; what it raises ends the reading.

    Raises:
        DataError: A file is unreadable, a column is missing or misnamed, or `keep` leaves no row.
    """
    with progress.step(sources.STEP) as told:
        for recipe in recipes:
            batches = source_batches(recipe, inputs[recipe.input_name], seed)
            yield _counted(recipe.name, batches, counts, on_batch)
        told.append(progress.counts(counts.rows.total(), counts.refused))


def _counted(
    name: str, batches: Iterable[SourceRows], counts: SourceCounts, on_batch: Callable[[], None]
) -> Iterator[Rows]:
    refused = Counter[str]()
    counts.rows[name] = counts.system_turns[name] = counts.shared_ids[name] = 0
    for batch in batches:
        on_batch()
        problems, conversions = traces.convert_all(batch.kept)
        reasons = [reject.reason for reject in batch.rejects]
        counts.rows[name] += len(problems) + len(reasons)
        counts.conversions.update(conversions)
        counts.system_turns[name] += batch.num_system_turns
        counts.shared_ids[name] += batch.num_shared_ids
        refused.update(reasons)
        rows = [*problems, *(reject.problem for reject in batch.rejects)]
        yield Rows([sources.cut(row) for row in rows], [*[None] * len(problems), *reasons])
    counts.refused.update(refused)
    say(f"source {name}: {counts.rows[name]} rows; {progress.rejected(refused)}")
    _check_taken(name, counts.rows[name], refused)


def _check_taken(name: str, num_rows: int, refused: Counter[str]) -> None:
    """Checks that a source has a row left; no bound of a gate counts those that `keep` leaves out.

    Raises:
        DataError: It has none, as where `keep` misspells a value.
    """
    left_out = Counter({why: num for why, num in refused.items() if why.endswith(NOT_KEPT)})
    if left_out and refused.total() == num_rows:
        raise DataError(
            f"No row of the source {name} is left: `keep` leaves out {left_out.total()} of "
            f"{num_rows}.",
            where=f"recipe, sources.{name}.keep; {progress.rejected(left_out)}",
            rule="a source takes some of its rows; a value counts with its capitals and its kind",
            fix="write the values as the column has them, or take the source out",
        )


def sift(
    rows: Iterable[Iterable[Rows]],
    steps: RowSteps,
    leaks: DecontaminationRecipe,
    work: ShardWork,
) -> Sifted | None:
    """Passes the rows of all sources through every step that samples nothing.

    Every process of the stage makes this call.

    Args:
        rows: Of each source, in batches; only the first process's are read.
        steps: What is found in a shard.
        leaks: What becomes of number variants.
        work: Has the shards looked through.

    Returns:
        On the first process, what became of the rows; else None.

    Raises:
        DataError: A source cannot be read.
        Preempted: The stage was told to stop.
        RuntimeError: A row was lost, or is there twice: a fault of ours.
    """
    settings = (steps.max_prompt_tokens, steps.containment, steps.benchmarks.digest, steps.order)

    def written(folder: Path) -> Iterator[Path]:
        yield from write_shards(rows, folder)
        progress.begin(steps.order[0])  # other processes may have begun with the first shards

    paths = work.run(
        "rows",
        written,
        steps.examine,
        settings,
        lambda: steps.num_undecided,
    )
    if device.rank() != 0:
        if shipped.NEAR_DUPLICATES in steps.order:
            help_with_near(steps, work)
        return None
    shards = [shard_path(work.folder / "rows", number) for number in range(len(paths))]
    found = pa.concat_tables([FOUND.empty_table(), *map(read_table, paths)])
    row_fates = Fates(len(found))
    fates.drop_by_themselves(row_fates, _dropped_by(sources.STEP, row_fates, found))
    variants = dict[str, int]()
    for number, step in enumerate(steps.order):
        num_in = len(row_fates.left)
        if number > 0:
            progress.begin(step)
        match step:
            case shipped.DUPLICATES:
                drop_equal(row_fates, found, shards, steps.verifier)
            case shipped.PROMPT_LENGTH:
                fates.drop_long(row_fates, found, steps.max_prompt_tokens)
            case shipped.NEAR_DUPLICATES:
                drop_near(row_fates, found, shards, steps, work)
            case shipped.DECONTAMINATION:
                drops = leaks.number_variants == "reject"
                variants = fates.drop_leaks(row_fates, found, reject_variants=drops)
            case _:
                fates.drop_by_themselves(row_fates, _dropped_by(step, row_fates, found))
        progress.end(step, progress.counts(num_in, row_fates.counts(step)))
    order = (sources.STEP, *steps.order)
    return _deal(shards, row_fates, order, work.folder / "dealt", variants)


def _dropped_by(step: str, row_fates: Fates, found: pa.Table) -> pa.Table:
    """Of the rows that are left, what is found in them by a step that drops them by itself."""
    is_left = np.zeros(len(found), dtype=bool)
    is_left[row_fates.left] = True
    steps = found["step"].cast(pa.string())
    is_dropped = pc.and_(pc.equal(steps, step), pa.array(is_left))
    return pa.table({"step": pc.if_else(is_dropped, steps, None), "reason": found["reason"]})


def _deal(
    shards: Sequence[Path],
    row_fates: Fates,
    order: Sequence[str],
    folder: Path,
    variants: dict[str, int],
) -> Sifted:
    """Puts every row into a file of usable rows, or into one of its step's rejects."""
    table, start, num_out, num_usable = row_fates.table(), 0, 0, len(row_fates.left)
    places = [folder / "usable", *(folder / f"rejects-{n}" for n in range(len(order)))]
    for place in places:
        place.mkdir(parents=True)
    for number, shard in enumerate(shards):
        rows = read_table(shard).select(PROBLEM_COLUMNS)
        told = table.slice(start, len(rows))
        start += len(rows)
        steps, reasons = (told[name].cast(pa.string()) for name in ("step", "reason"))
        parts = [rows.filter(pc.is_null(steps))]
        columns = (steps, reasons, told["detail"])
        for column, name in zip(columns, REJECT_COLUMNS, strict=True):
            rows = rows.append_column(name, column)
        parts += [rows.filter(pc.equal(steps, step)) for step in order]
        for place, part in zip(places, parts, strict=True):
            num_out += len(part)
            if len(part):
                write_shard(part, place, number)
        shard.unlink()
    if not start == num_out == len(table):
        raise RuntimeError(f"curation read {start} rows, judged {len(table)}, dealt {num_out}")
    usable, *rejects = (sorted(place.iterdir()) for place in places)
    return Sifted(
        num_out, num_usable, usable, [path for paths in rejects for path in paths], variants
    )
