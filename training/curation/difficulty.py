"""Difficulty: the base model's pass rate on every problem, and a level from 1 to 10.

Paper section 3.1 (GRAMMAR): problems that the base model finds too easy or too hard are pruned
by pass rate, and a larger model grades the level. Here a source's own level stands; a problem
without one is graded by the larger model's pass rate and length, or, where the recipe names no such
model, by the base model's pass rate.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import floor, nan

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.failures import is_final
from training.answers import UNDECIDED, Outcome
from training.curation.outlines import OUTLINE, Outlines, column_of
from training.recipe import curation as steps
from training.recipe.recipe import SetRecipe
from training.records import Problem
from training.rollout.protocol import Request, SamplingSettings
from training.sampling.chunks import Measure
from training.sampling.problems import request_of

STEP = steps.DIFFICULTY
GRADER = "grader/"  # who is asked, and how the ids begin: the base is asked the same questions
NUM_LEVELS = 10
NOT_VERIFIED = "no answer was verified"
TOO_LONG_TO_GRADE = "prompt too long for the grader"

Rates = npt.NDArray[np.float64]  # NaN where no answer was verified


def pass_rate_requests(problems: Iterable[Problem], settings: SamplingSettings) -> list[Request]:
    """What to ask the base model; a problem that already has a pass rate is not asked."""
    return [request_of(row, settings) for row in problems if row["pass_rate"] is None]


def pass_rates(problems: Outlines, outcomes: Sequence[Sequence[Outcome]]) -> Rates:
    """Right responses / verified responses of each problem [N].

    A verification that timed out, or died, says nothing about the response and does not count.

    Args:
        problems: The problems; one that already has a pass rate keeps it.
        outcomes: The verdicts on the responses of each of the others, in their order; none where
            no response came.
    """
    rates = column_of(problems, "pass_rate")
    for place, own in zip(np.flatnonzero(np.isnan(rates)).tolist(), outcomes, strict=True):
        rate = pass_rate(own)
        rates[place] = nan if rate is None else rate
    return rates


def pass_rate(outcomes: Sequence[Outcome]) -> float | None:
    """Share of right answers among the verified ones; None if there are none."""
    verified = [outcome for outcome in outcomes if outcome not in UNDECIDED]
    return verified.count("right") / len(verified) if verified else None


def levels_of(rates: Rates) -> Rates:
    """1 for a problem that the base model always solves, 10 for one it never does, linear [N]."""
    return 1 + np.floor(9 * (1 - rates) + 0.5)


def grade_requests(
    problems: Iterable[Problem],
    rates: Rates,
    sets: Sequence[SetRecipe],
    settings: SamplingSettings,
) -> dict[int, Request]:
    """What to ask the larger model: the problems without a level that some set may admit.

    Args:
        problems: The problems.
        rates: The base model's pass rate on each.
        sets: The recipe's sets; what the pass rate keeps out of all of them is not graded.
        settings: How the larger model is asked.

    Returns:
        The request by the problem's place.
    """
    return {
        place: replace(asked, id=f"{GRADER}{row['id']}", asked=GRADER)
        for place, (row, rate) in enumerate(zip(problems, rates.tolist(), strict=True))
        if row["level"] is None
        and any(  # none does where the rate is NaN
            one.modality == row["modality"] and one.min_pass_rate <= rate <= one.max_pass_rate
            for one in sets
        )
        for asked in [request_of(row, settings)]
    }


def graded_levels(
    rates: Sequence[float], lengths_tokens: Sequence[float], num_samples: int
) -> list[int]:
    """Levels from 1 to 10 by the larger model's pass rate, and among equal rates by length.

    With k samples there are k + 1 pass rates. Each takes an equal part of the scale, from always
    right to never, and inside of its part a problem stands where its mean length stands among the
    lengths of the problems with that rate.

    Args:
        rates: Pass rates.
        lengths_tokens: Mean length of each problem's responses.
        num_samples: k.
    """
    alike: dict[float, list[float]] = defaultdict(list)
    for rate, length in zip(rates, lengths_tokens, strict=True):
        alike[rate].append(length)
    ordered = {rate: sorted(lengths) for rate, lengths in alike.items()}
    levels = []
    for rate, length in zip(rates, lengths_tokens, strict=True):
        others = ordered[rate]
        # Equally long ones stand in the middle of the places that they take together.
        place = (bisect_left(others, length) + bisect_right(others, length)) / (2 * len(others))
        hardness = ((1 - rate) * num_samples + place) / (num_samples + 1)
        levels.append(min(1 + floor(NUM_LEVELS * hardness), NUM_LEVELS))
    return levels


def assign_difficulty(
    problems: Outlines, rates: Rates, grades: Mapping[int, int | str] | None = None
) -> Outlines:
    """The problems with pass rate and level; a level that the source gave stays.

    Those that have none are left out.

    Args:
        problems: The problems.
        rates: The base model's pass rate on each.
        grades: See `grades_of`; problems that are not named here are levelled by their rate.
    """
    levels = column_of(problems, "level")
    levels = np.where(np.isnan(levels), levels_of(rates), levels)
    for place, level in (grades or {}).items():
        levels[place] = nan if isinstance(level, str) else level
    found = {"level": levels, "pass_rate": rates}
    for name, values in found.items():
        number, field = problems.column_names.index(name), OUTLINE.field(name)
        column = pa.array(values, mask=np.isnan(values)).cast(field.type)
        problems = problems.set_column(number, field, column)
    return problems.filter(pa.array(~(np.isnan(rates) | np.isnan(levels))))


def grades_of(
    places: Sequence[int], answers: Sequence[Sequence[Measure]], num_samples: int
) -> dict[int, int | str]:
    """Levels by the larger model's answers.

    Args:
        places: The problems', all without a level.
        answers: Those to each of them.
        num_samples: To each problem.

    Returns:
        The level of each place, or why it has none.
    """
    # A prompt may be too long for the larger model alone: that says nothing of how hard it is.
    rates = [
        pass_rate([one["outcome"] for one in several if not one["failure"]]) for several in answers
    ]
    lengths = [sum(one["num_tokens"] for one in several) / len(several) for several in answers]
    known = [number for number, rate in enumerate(rates) if rate is not None]
    levels = graded_levels(
        [rate for rate in rates if rate is not None],
        [lengths[number] for number in known],
        num_samples,
    )
    unknown = {
        place: TOO_LONG_TO_GRADE
        if all(is_final(one["failure"]) for one in several)
        else NOT_VERIFIED
        for place, several in zip(places, answers, strict=True)
    }
    return unknown | {places[number]: level for number, level in zip(known, levels, strict=True)}
