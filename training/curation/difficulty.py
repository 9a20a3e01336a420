"""Difficulty: the base model's pass rate on every problem, and a level from 1 to 10.

Paper section 3.1 (GRAMMAR): problems that the base model finds too easy or too hard are pruned
by pass rate. There a larger model grades the level; here a source's own level stands, and a
problem without one is graded by its pass rate.
"""

from collections.abc import Callable, Sequence
from math import floor

import torch

from training.answers import Outcome, count_outcomes
from training.curation.step import StepResult, split
from training.curation.verifiability import AnswerVerifier
from training.records import Problem
from training.rollout.protocol import Prompt, RolloutEngine, SamplingSettings

STEP = "difficulty"
# Prompts sampled at once: long batches keep the processor busy and the progress visible.
PROMPTS_PER_BATCH = 256

Progress = Callable[[int, int, dict[Outcome, int]], None]


def measure_pass_rates(
    problems: Sequence[Problem],
    engine: RolloutEngine,
    *,
    verifier: AnswerVerifier,
    settings: SamplingSettings,
    generator: torch.Generator,
    progress: Progress,
) -> list[float | None]:
    """Samples responses to every problem and verifies them.

    Problems are sampled in order of their prompt's length, so that a batch is not padded to one
    long prompt.

    Args:
        problems: The problems; one that already has a pass rate keeps it and is not sampled.
        engine: The base model.
        verifier: Judges the responses.
        settings: Samples per problem, temperature and budget.
        generator: Draws the samples.
        progress: Called after each batch with how many problems are done, how many there are
            to do, and that batch's outcomes.

    Returns:
        Right responses / verified responses of each problem, in the order given. A verification
        that timed out says nothing about the response and does not count; None if all did.
    """
    rates: list[float | None] = [problem["pass_rate"] for problem in problems]
    order = [index for index in prompt_length_order(problems) if rates[index] is None]
    for start in range(0, len(order), PROMPTS_PER_BATCH):
        batch = order[start : start + PROMPTS_PER_BATCH]
        responses = engine.generate(
            [Prompt(problems[i]["question"], problems[i]["images"]) for i in batch],
            settings,
            generator,
        )
        outcomes = verifier.verify(
            [response.text for response in responses],
            [problems[batch[response.prompt_index]]["answer"] for response in responses],
        )
        for position, index in enumerate(batch):
            group = position * settings.samples_per_prompt
            rates[index] = pass_rate(outcomes[group : group + settings.samples_per_prompt])
        progress(start + len(batch), len(order), count_outcomes(outcomes))
    return rates


def prompt_length_order(problems: Sequence[Problem]) -> list[int]:
    """Indices of the problems from the shortest prompt to the longest; text before images."""
    return sorted(
        range(len(problems)),
        key=lambda index: (
            sum(len(image["bytes"]) for image in problems[index]["images"]),
            len(problems[index]["question"]),
        ),
    )


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
