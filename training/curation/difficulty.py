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
from math import floor

from training.answers import Outcome
from training.curation.outlines import Outline
from training.recipe.recipe import SetRecipe
from training.records import Problem
from training.rollout.protocol import Request, SamplingSettings
from training.sampling.chunks import Measure
from training.sampling.problems import request_of

STEP = "difficulty"
GRADER = "grader/"  # how the ids of its requests begin: the base is asked the same questions
NUM_LEVELS = 10
NOT_VERIFIED = "no answer was verified"


def pass_rate_requests(problems: Iterable[Problem], settings: SamplingSettings) -> list[Request]:
    """What to ask the base model; a problem that already has a pass rate is not asked."""
    return [request_of(row, settings) for row in problems if row["pass_rate"] is None]


def pass_rates(
    problems: Sequence[Outline], outcomes: Sequence[Sequence[Outcome]]
) -> list[float | None]:
    """Right responses / verified responses of each problem.

    A verification that timed out says nothing about the response and does not count.

    Args:
        problems: The problems; one that already has a pass rate keeps it.
        outcomes: The verdicts on the responses of each of the others, in their order.

    Returns:
        In the order of the problems; None where every verification timed out.
    """
    measured = iter(outcomes)
    return [
        pass_rate(next(measured)) if problem["pass_rate"] is None else problem["pass_rate"]
        for problem in problems
    ]


def pass_rate(outcomes: Sequence[Outcome]) -> float | None:
    """Share of right answers among the verified ones; None if every verification timed out."""
    verified = [outcome for outcome in outcomes if outcome != "timeout"]
    return verified.count("right") / len(verified) if verified else None


def level_of(pass_rate: float) -> int:
    """1 for a problem that the base model always solves, 10 for one it never does, linear."""
    return 1 + floor(9 * (1 - pass_rate) + 0.5)


def grade_requests(
    problems: Iterable[Problem],
    rates: Sequence[float | None],
    sets: Sequence[SetRecipe],
    settings: SamplingSettings,
) -> dict[str, Request]:
    """What to ask the larger model: the problems without a level that some set may admit.

    Args:
        problems: The problems.
        rates: The base model's pass rate on each.
        sets: The recipe's sets; what the pass rate keeps out of all of them is not graded.
        settings: How the larger model is asked.

    Returns:
        The request by the problem's id.
    """
    return {
        row["id"]: replace(asked, id=f"{GRADER}{row['id']}")
        for row, rate in zip(problems, rates, strict=True)
        if row["level"] is None
        and rate is not None
        and any(
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
    problems: Sequence[Outline],
    rates: Sequence[float | None],
    grades: Mapping[str, int | None] | None = None,
) -> list[Outline]:
    """The problems with pass rate and level; a level that the source gave stays.

    Those of which the answers were not verified are left out.

    Args:
        problems: The problems.
        rates: The base model's pass rate on each.
        grades: Id of a problem -> the larger model's level, None where it got none; problems that
            are not named here are levelled by their rate.
    """
    given = grades or {}
    levelled = list[Outline]()
    for problem, rate in zip(problems, rates, strict=True):
        level = problem["level"]
        if rate is not None and level is None:
            level = given[problem["id"]] if problem["id"] in given else level_of(rate)
        if rate is not None and level is not None:
            levelled.append({**problem, "level": level, "pass_rate": rate})
    return levelled


def grades_of(
    ids: Sequence[str], answers: Sequence[Sequence[Measure]], num_samples: int
) -> dict[str, int | None]:
    """Levels by the larger model's answers; None where there is none, or none was verified.

    Args:
        ids: The problems'.
        answers: Those to each of them.
        num_samples: To each problem.
    """
    # A prompt may be too long for the larger model alone: that says nothing of how hard it is.
    rates = [
        pass_rate([one["outcome"] for one in several if not one["failure"]]) for several in answers
    ]
    lengths = [sum(one["num_tokens"] for one in several) / len(several) for several in answers]
    known = [place for place, rate in enumerate(rates) if rate is not None]
    levels = graded_levels(
        [rate for rate in rates if rate is not None],
        [lengths[place] for place in known],
        num_samples,
    )
    return dict.fromkeys(ids) | {
        ids[place]: level for place, level in zip(known, levels, strict=True)
    }
