"""Balanced selection: fills the recipe's sets with equal shares of every topic and level.

Paper section 3.1 (GRAMMAR): balanced sampling over topic x difficulty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.curation.outlines import Outlines, Places, column_of, numbered
from training.recipe import curation as steps
from training.recipe.recipe import SetRecipe

STEP = steps.SELECTION
NOT_SELECTED = "not selected"  # every set that admits it was full
SOURCE_IS_FULL = "its source gives no more"  # `max_per_source`, in every set that admits it
OTHER_MODALITY = "no set of its modality"

Reasons = npt.NDArray[np.object_]  # a text for each problem, or None


@dataclass(frozen=True)
class Selection:
    """The curated sets and what was left over; problems are places, in the order of their ids.

    Attributes:
        sets: Problems of each set; no problem is in two sets.
        shortfall: How many problems each set lacks to `num_problems`.
        left: Every problem that no set took.
        reasons: Why, for each of these.
    """

    sets: dict[str, Places]
    shortfall: dict[str, int]
    left: Places
    reasons: list[str]


def select(
    problems: Outlines,
    sets: Sequence[SetRecipe],
    seed: int,
    trace_faults: Sequence[str | None] | None = None,
    topics: Sequence[str] | None = None,
) -> Selection:
    """Fills the sets in their order, each balanced over topic x level, never sharing a problem.

    A set holds exactly `num_problems` whenever that many admissible problems are left that their
    sources may give. The draw depends on the seed and on the problems, not on their order.

    Args:
        problems: Problems with unique ids, a level and a pass rate.
        sets: The recipe's sets, in their order.
        seed: Seeds the draw.
        trace_faults: Of each problem, why its trace may not be learned from, or None.
        topics: Of each problem; None takes the families for topics.
    """
    count = len(problems)
    by_id = pc.sort_indices(problems["id"]).to_numpy().astype(np.int64)
    ordered = problems.take(pa.array(by_id))
    faults = np.array(trace_faults or [None] * count, dtype=object)[by_id]
    given = problems["family"] if topics is None else pa.array(topics, pa.string())
    topic, source = numbered(given)[0][by_id], numbered(ordered["source"])
    level = column_of(ordered, "level").astype(np.int64)
    cells = topic * (level.max(initial=0) + 1) + level  # in the order of topics, then of levels
    refused = [refusals(ordered, curated, faults) for curated in sets]
    offered, is_left = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    chosen: dict[str, Places] = {}
    for index, curated in enumerate(sets):
        generator = np.random.default_rng([seed, index])
        admitted = np.flatnonzero(is_left & _is_none(refused[index]))
        most = curated.max_per_source
        pool = _given_by_sources(admitted, source, most, cells, [seed, index])
        offered[pool] = True
        drawn = np.sort(_draw(pool, cells, curated.num_problems, generator))
        is_left[drawn] = False
        chosen[curated.name] = by_id[drawn]
    return Selection(
        sets=chosen,
        shortfall={each.name: each.num_problems - len(chosen[each.name]) for each in sets},
        left=by_id[is_left],
        reasons=_why_left(refused, offered)[is_left].tolist(),
    )


def refusals(problems: Outlines, curated: SetRecipe, faults: Reasons) -> Reasons:
    """Why a set does not admit each problem [N], None where it does.

    Args:
        problems: Problems with a level and a pass rate.
        curated: The set.
        faults: Of their traces.
    """
    level, pass_rate = column_of(problems, "level"), column_of(problems, "pass_rate")
    found: Reasons = np.full(len(problems), None, dtype=object)
    # What counts most comes last.
    found[(level < curated.min_level) | (level > curated.max_level)] = "level out of range"
    found[pass_rate < curated.min_pass_rate] = "too hard for the base model"
    found[pass_rate > curated.max_pass_rate] = "too easy for the base model"
    if curated.needs_solution:
        found = np.where(_is_none(faults), found, faults)
        # Where there is none, its length is no number.
        found[~(column_of(problems, "solution_characters") > 0)] = "no solution trace"
    modality, names = numbered(problems["modality"])
    is_other = np.array([name != curated.modality for name in names], dtype=bool)
    found[is_other[modality]] = OTHER_MODALITY
    return found


def fair_quotas(sizes: Sequence[int], num: int, generator: np.random.Generator) -> list[int]:
    """How many to take of each cell: equal shares, small cells give all they have.

    Cells are served from the smallest to the largest, each an equal share of what is still
    missing; so cells that could give more never differ by more than one.

    Args:
        sizes: Number of problems in each cell.
        num: How many to take over all cells.
        generator: Decides which of equally large cells give one more.

    Returns:
        Quotas that sum to min(num, sum of sizes).
    """
    shuffled = generator.permutation(len(sizes)).tolist()
    quotas, missing = [0] * len(sizes), num
    for position, cell in enumerate(sorted(shuffled, key=sizes.__getitem__)):
        share = missing // (len(sizes) - position)
        quotas[cell] = min(sizes[cell], share)
        missing -= quotas[cell]
    return quotas


def _given_by_sources(
    places: Places,
    source: tuple[Places, list[str]],
    most: Mapping[str, int],
    cells: Places,
    seeds: Sequence[int],
) -> Places:
    """The problems that their sources may give to a set, in order.

    Of a source that has too many, equal shares of every topic and level are drawn first, so that
    no later draw can take too many.
    """
    number_of, names = source
    own = number_of[places]
    given = [places[:0]]
    for position, number in enumerate(np.unique(own).tolist()):
        offered = places[own == number]
        limit = most.get(names[number], len(offered))
        if len(offered) > limit:
            offered = _draw(offered, cells, limit, np.random.default_rng([*seeds, position]))
        given.append(offered)
    return np.sort(np.concatenate(given))


def _draw(places: Places, cells: Places, num: int, generator: np.random.Generator) -> Places:
    """Equal shares of the cells that the places, which ascend, are in."""
    own = cells[places]
    by_cell = places[np.argsort(own, kind="stable")]
    sizes = np.unique(own, return_counts=True)[1]
    quotas = fair_quotas(sizes.tolist(), num, generator)
    drawn, start = [places[:0]], 0
    for size, quota in zip(sizes.tolist(), quotas, strict=True):
        drawn.append(by_cell[start + generator.choice(size, size=quota, replace=False)])
        start += size
    return np.concatenate(drawn)


def _why_left(refused: Sequence[Reasons], offered: npt.NDArray[np.bool_]) -> Reasons:
    """Why no set took a problem: for refusals, in the words of the first set of its modality."""
    found: Reasons = np.full(len(offered), OTHER_MODALITY, dtype=object)
    is_admitted = np.zeros(len(offered), dtype=bool)
    for reasons in reversed(refused):
        is_none = _is_none(reasons)
        is_admitted |= is_none
        found = np.where(is_none | (reasons == OTHER_MODALITY), found, reasons)
    full: Reasons = np.array([SOURCE_IS_FULL, NOT_SELECTED], dtype=object)
    return np.where(is_admitted, full[offered.astype(np.int64)], found)


def _is_none(reasons: Reasons) -> npt.NDArray[np.bool_]:
    return np.array([reason is None for reason in reasons.tolist()], dtype=bool)
