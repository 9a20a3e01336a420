"""The parts' learner; apart from the rest, since not every part waits for DeepSpeed's import."""

from training.learner.learner import Learner
from training.model.policy import Policy
from training.recipe.recipe import HardwareRecipe
from training.recipe.stages import OptimizerRecipe


def new_learner(
    policy: Policy,
    zero_stage: int = 0,
    tokens_per_micro_batch: int = 2048,
    *,
    offload: bool = False,
) -> Learner:
    """A learner that takes large steps, so that a difference shows."""
    return Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-4),
        hardware=HardwareRecipe(zero_stage=zero_stage, offload_optimizer=offload),
        num_updates=100,
        tokens_per_micro_batch=tokens_per_micro_batch,
    )
