"""Difficulty: the base model's pass rate on every problem, and a level from 1 to 10.

Paper section 3.1 (GRAMMAR): problems that the base model finds too easy or too hard are pruned
by pass rate. There a larger model grades the level; here a source's own level stands, and a
problem without one is graded by its pass rate.
"""

from collections.abc import Sequence
from math import floor

from training.answers import Outcome
from training.curation.step import StepResult, split
from training.records import Problem
from training.rollout.protocol import Request, SamplingSettings
from training.sampling.problems import request_of

STEP = "difficulty"


def pass_rate_requests(problems: Sequence[Problem], settings: SamplingSettings) -> list[Request]:
    """What to ask the base model; a problem that already has a pass rate is not asked."""
    return [request_of(row, settings) for row in problems if row["pass_rate"] is None]


def pass_rates(
    problems: Sequence[Problem], outcomes: Sequence[Sequence[Outcome]]
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


def assign_difficulty(problems: Sequence[Problem], rates: Sequence[float | None]) -> StepResult:
    """Writes pass rate and level into the problems; a level that the source gave stays."""
    graded: list[Problem] = []
    for problem, rate in zip(problems, rates, strict=True):
        if rate is None:
            graded.append(problem)
        else:
            level = level_of(rate) if problem["level"] is None else problem["level"]
            graded.append({**problem, "level": level, "pass_rate": rate})
    reasons = ["every verification timed out" if rate is None else None for rate in rates]
    return split(graded, reasons, STEP)
