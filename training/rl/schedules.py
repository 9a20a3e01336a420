"""Schedules: pure functions of the step or of the optimizer update, both counted from 0."""

import math
from typing import Literal


def pad_temperature(step: int, num_steps: int, *, start: float = 1.0, end: float = 0.3) -> float:
    """PAD's tau: linear from `start` at the first step to `end` at the last (paper: 1.0 to 0.3)."""
    progress = min(step / (num_steps - 1), 1.0) if num_steps > 1 else 0.0
    return start + (end - start) * progress


def entropy_coefficient(
    update: int,
    *,
    coefficient: float,
    decay: float,
    warmup_updates: int,
    warmup: Literal["ramp", "zero"] = "ramp",
) -> float:
    """Entropy bonus of stage 3 (paper: 0.02, times 0.985, 140 warm-up steps).

    A step is an optimizer update here, as in the authors' loop, and not a batch of rollouts. The
    paper does not say what happens during the warm-up. `ramp` rises linearly and reaches
    `coefficient` at update `warmup_updates`; `zero` is the authors' code: no bonus before that
    update. From there on both decay by `decay` an update.

    Args:
        update: Optimizer updates done so far.
        coefficient: The largest weight.
        decay: What it is multiplied by.
        warmup_updates: How many updates the warm-up takes.
        warmup: What happens until then.
    """
    if update < warmup_updates:
        return coefficient * (update + 1) / (warmup_updates + 1) if warmup == "ramp" else 0.0
    return coefficient * float(decay ** (update - warmup_updates))


def learning_rate_factor(
    step: int, num_steps: int, *, warmup_ratio: float, schedule: Literal["constant", "cosine"]
) -> float:
    """What the learning rate is multiplied by, in (0, 1].

    The warm-up takes ceil(warmup_ratio * num_steps) steps and is linear; unlike transformers'
    schedulers it starts at 1 / warm-up steps, so the first step is not lost to a rate of zero.
    After it, `cosine` falls along half a cosine that would reach 0 at step `num_steps`.
    """
    warmup_steps = math.ceil(warmup_ratio * num_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
