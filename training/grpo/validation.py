"""Validation during RL: problems held out from the stage's set, answered every few steps."""

import time
from collections.abc import Sequence

import torch
from datasets import Dataset

from contracts.errors import DataError
from training.answers import Verifier
from training.recipe.stages import RlStage, ValidationRecipe
from training.records import Problem
from training.rollout.protocol import RolloutEngine, SamplingSettings
from training.runtime.seeds import seeded_generator
from training.sampling.problems import answer

NAMES = ("validation_accuracy", "seconds_validation")


def hold_out(problems: Dataset, stage: RlStage, seed: int) -> tuple[Dataset, list[Problem]]:
    """Splits a curated set into what the stage learns from and what it is validated on.

    Args:
        problems: The whole set.
        stage: Says how many are held out; none without `validation`.
        seed: The run's seed; the same one holds out the same problems.

    Raises:
        DataError: Nothing would be left to learn from.
    """
    if stage.validation is None:
        return problems, []
    num_held_out = stage.validation.num_problems
    if num_held_out >= len(problems):
        raise DataError(
            f"The set {stage.data!r} holds {len(problems)} problems, and validation holds out "
            f"{num_held_out}.",
            where=f"stage {stage.name}: validation.num_problems",
            rule="a stage has something left to learn from",
            fix="lower validation.num_problems, or curate more problems",
        )
    generator = seeded_generator(seed, stage.name, "held out")
    order = torch.randperm(len(problems), generator=generator).tolist()
    held_out = [problems[row] for row in sorted(order[:num_held_out])]
    return problems.select(sorted(order[num_held_out:])), held_out


def is_due(step: int, stage: RlStage) -> bool:
    """Whether the policy is validated after a step (from 1): every so often, and at the end."""
    every = stage.validation.every_steps if stage.validation else 0
    return bool(every) and (step % every == 0 or step == stage.num_steps)


def validate(
    engine: RolloutEngine,
    verifier: Verifier,
    held_out: Sequence[Problem],
    stage: RlStage,
    validation: ValidationRecipe,
    seed: int,
) -> dict[str, float]:
    """One answer to each held-out problem, verified; all ranks take part.

    Args:
        engine: Samples from the newest weights.
        verifier: Decides whether an answer is right.
        held_out: The problems, the same on every rank.
        stage: Its longest response and its stop strings.
        validation: How the answers are drawn.
        seed: The run's: every validation draws the same random numbers.

    Returns:
        By the names `NAMES`, the same on every rank but for the time.
    """
    start = time.monotonic()
    settings = SamplingSettings(
        stage.max_response_tokens, temperature=validation.temperature, stop=stage.stop
    )
    answers = answer(engine, verifier, held_out, settings, seed)
    num_right = sum(sample["outcome"] == "right" for samples in answers for sample in samples)
    values = (num_right / len(held_out), time.monotonic() - start)
    return dict(zip(NAMES, values, strict=True))
