"""What every training stage sets up alike: adapters, the learner, and the summary in the end."""

import json
from pathlib import Path
from typing import Any

from training.learner.learner import Learner
from training.model.adapters import attach_adapters
from training.model.policy import Policy
from training.recipe.recipe import Recipe
from training.recipe.stages import Stage
from training.runtime import device
from training.runtime.log import say
from training.runtime.seeds import seeded_generator


def new_learner(recipe: Recipe, stage: Stage, policy: Policy, *, num_updates: int) -> Learner:
    """The learner of a stage, with the adapters that it asks for.

    Args:
        recipe: Its seed and hardware count.
        stage: Its section of the recipe.
        policy: What learns; adapters are attached to it.
        num_updates: Optimizer steps that there will be, for the learning rate's schedule.
    """
    if stage.lora:
        generator = seeded_generator(recipe.seed, stage.name, "adapters")
        attach_adapters(policy.model, stage.lora, generator)
    learner = Learner(
        policy,
        optimizer=stage.optimizer,
        hardware=recipe.hardware,
        num_updates=num_updates,
        tokens_per_micro_batch=stage.tokens_per_micro_batch,
        frozen=stage.freeze,
    )
    weights = list(policy.model.parameters())
    num_learning = sum(weight.numel() for weight in weights if weight.requires_grad)
    say(
        f"{num_learning:,} of {sum(weight.numel() for weight in weights):,} parameters learn, on "
        f"{device.world_size()} process(es) of {device.current_device()}"
    )
    return learner


def write_summary(output: Path, **figures: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    """Writes a stage's `summary.json`; the first process alone."""
    if device.rank() == 0:
        (output / "summary.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
