"""Balanced selection: fills the recipe's sets with equal shares of every topic and level.

Paper section 3.1 (GRAMMAR): balanced sampling over topic x difficulty.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from training.curation.outlines import Outline
from training.recipe.recipe import SetRecipe

STEP = "selection"
NOT_SELECTED = "not selected"  # every set that admits it was full
SOURCE_IS_FULL = "its source gives no more"  # `max_per_source`, in every set that admits it
OTHER_MODALITY = "no set of its modality"
Cell = tuple[str, int]  # topic, level


@dataclass(frozen=True)
class Selection:
    """The curated sets and what was left over.

    Attributes:
        sets: Problems of each set, by id; no problem is in two sets.
        shortfall: How many problems each set lacks to `num_problems`.
        left: Id of every problem that no set took -> the reason; by id, too.
    """

    sets: dict[str, list[Outline]]
    shortfall: dict[str, int]
    left: dict[str, str]


def select(
    problems: Sequence[Outline],
    sets: Sequence[SetRecipe],
    seed: int,
    trace_faults: Mapping[str, str] | None = None,
    topics: Mapping[str, str] | None = None,
) -> Selection:
    """Fills the sets in their order, each balanced over topic x level, never sharing a problem.

    A set holds exactly `num_problems` whenever that many admissible problems are left that their
    sources may give. The draw depends on the seed and on the problems, not on their order.

    Args:
        problems: Problems with unique ids, a level and a pass rate.
        sets: The recipe's sets, in their order.
        seed: Seeds the draw.
        trace_faults: Id of a problem -> why its trace may not be learned from.
        topics: Id of a problem -> its topic; None takes the families for topics.
    """
    faults = trace_faults or {}
    cells = {
        row["id"]: _cell(row, row["family"] if topics is None else topics[row["id"]])
        for row in problems
    }
    offered = set[str]()
    left = {problem["id"]: problem for problem in sorted(problems, key=lambda row: row["id"])}
    chosen: dict[str, list[Outline]] = {}
    for index, curated in enumerate(sets):
        generator = np.random.default_rng([seed, index])
        admitted = [
            problem
            for problem in left.values()
            if refusal(problem, curated, faults.get(problem["id"])) is None
        ]
        pool = _given_by_sources(admitted, curated.max_per_source, cells, [seed, index])
        offered.update(pool)
        ids = _draw(_by_cell(pool, cells), curated.num_problems, generator)
        chosen[curated.name] = [left.pop(id_) for id_ in sorted(ids)]
    return Selection(
        sets=chosen,
        shortfall={each.name: each.num_problems - len(chosen[each.name]) for each in sets},
        left={
            id_: _why_left(problem, sets, faults.get(id_), offered) for id_, problem in left.items()
        },
    )


def refusal(problem: Outline, curated: SetRecipe, trace_fault: str | None = None) -> str | None:
    """Why a set does not admit a problem, or None if it does."""
    level, pass_rate = problem["level"], problem["pass_rate"]
    assert level is not None and pass_rate is not None  # the difficulty step gives every row both
    if problem["modality"] != curated.modality:
        return OTHER_MODALITY
    if curated.needs_solution and not problem["solution_characters"]:
        return "no solution trace"
    if curated.needs_solution and trace_fault is not None:
        return trace_fault
    if pass_rate > curated.max_pass_rate:
        return "too easy for the base model"
    if pass_rate < curated.min_pass_rate:
        return "too hard for the base model"
    if not curated.min_level <= level <= curated.max_level:
        return "level out of range"
    return None


def fair_quotas(
    sizes: Mapping[Cell, int], num: int, generator: np.random.Generator
) -> dict[Cell, int]:
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
    names = sorted(sizes)
    shuffled = [names[index] for index in generator.permutation(len(names))]
    quotas: dict[Cell, int] = {}
    missing = num
    for position, cell in enumerate(sorted(shuffled, key=lambda name: sizes[name])):
        share = missing // (len(sizes) - position)
        quotas[cell] = min(sizes[cell], share)
        missing -= quotas[cell]
    return quotas


def _given_by_sources(
    problems: Sequence[Outline],
    most: Mapping[str, int],
    cells: Mapping[str, Cell],
    seeds: Sequence[int],
) -> list[str]:
    """Ids of the problems that their sources may give to a set, in order.

    Of a source that has too many, equal shares of every topic and level are drawn first, so that
    no later draw can take too many.
    """
    by_source: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        by_source[problem["source"]].append(problem["id"])
    given: list[str] = []
    for number, (source, ids) in enumerate(sorted(by_source.items())):
        limit = most.get(source, len(ids))
        if len(ids) > limit:
            generator = np.random.default_rng([*seeds, number])
            given += _draw(_by_cell(ids, cells), limit, generator)
        else:
            given += ids
    return sorted(given)


def _by_cell(ids: Sequence[str], cells: Mapping[str, Cell]) -> dict[Cell, list[str]]:
    found: dict[Cell, list[str]] = defaultdict(list)
    for id_ in ids:
        found[cells[id_]].append(id_)
    return found


def _draw(
    cells: Mapping[Cell, Sequence[str]], num: int, generator: np.random.Generator
) -> list[str]:
    quotas = fair_quotas({cell: len(ids) for cell, ids in cells.items()}, num, generator)
    drawn: list[str] = []
    for cell, quota in sorted(quotas.items()):
        ids = cells[cell]
        drawn += [ids[i] for i in generator.choice(len(ids), size=quota, replace=False)]
    return drawn


def _cell(problem: Outline, topic: str) -> Cell:
    assert problem["level"] is not None  # the difficulty step gives every row a level
    return topic, problem["level"]


def _why_left(
    problem: Outline, sets: Sequence[SetRecipe], trace_fault: str | None, offered: Set[str]
) -> str:
    """Why no set took a problem: for refusals, in the words of the first set of its modality."""
    refusals = [refusal(problem, curated, trace_fault) for curated in sets]
    if None in refusals:
        return NOT_SELECTED if problem["id"] in offered else SOURCE_IS_FULL
    reasons = [reason for reason in refusals if reason is not None and reason != OTHER_MODALITY]
    return reasons[0] if reasons else OTHER_MODALITY
